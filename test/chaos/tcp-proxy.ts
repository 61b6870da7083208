import { once } from 'node:events';
import { createConnection, createServer, type AddressInfo, type Socket } from 'node:net';

/** What a proxy does to the connections through it, until it is told otherwise. */
export interface LinkFault {
  /** Added to every chunk, either way. Milliseconds. */
  latencyMs?: number | undefined;
  /** Bytes vanish, connections stay open: `both`, or one direction. */
  blackhole?: 'both' | 'to-server' | 'to-client' | undefined;
  /** New connections are closed at once. */
  refuse?: boolean | undefined;
}

/** A TCP proxy of one link. */
export interface TcpProxy {
  port: number;
  set: (fault: LinkFault) => void;
  /** Resets every open connection (RST). Answers how many. */
  reset: () => number;
  /**
   * The next chunk of a client that contains `text` reaches the server, then the connection is reset before the answer
   * comes back: the caller saw an error, the effect is there.
   */
  cutAfterRequest: (text?: string) => Promise<void>;
  connections: () => number;
  close: () => Promise<void>;
}

interface Link {
  client: Socket;
  server: Socket;
}

/** What a proxy does at the moment, and to whom. */
interface Standing {
  links: Set<Link>;
  fault: LinkFault;
  cut: { text: string; done: () => void } | undefined;
}

function resetLink({ links }: Standing, link: Link): void {
  links.delete(link);
  link.client.resetAndDestroy();
  link.server.resetAndDestroy();
}

/** The server gets all of it and works on it; its answer meets a closed door. */
function passAndCut(standing: Standing, link: Link, of: { chunk: Buffer; done: () => void }): void {
  link.server.write(of.chunk, () => {
    link.client.resetAndDestroy();
    link.server.removeAllListeners('data').resume();
    link.server.end();
    standing.links.delete(link);
    of.done();
  });
}

/** Hands on what one side says, as far as the fault of the moment lets it. */
function forward(standing: Standing, link: Link, way: 'to-server' | 'to-client'): void {
  const [from, to] = way === 'to-server' ? [link.client, link.server] : [link.server, link.client];
  from.on('data', (chunk: Buffer) => {
    const { blackhole, latencyMs = 0 } = standing.fault;
    if (blackhole === 'both' || blackhole === way) return;
    const { cut } = standing;
    const isCut = way === 'to-server' && cut !== undefined && chunk.includes(cut.text);
    if (isCut) standing.cut = undefined;
    const pass = () => {
      if (to.destroyed) return;
      if (isCut) passAndCut(standing, link, { chunk, done: cut.done });
      else to.write(chunk);
    };
    if (latencyMs > 0) setTimeout(pass, latencyMs);
    else pass();
  });
  from.on('error', () => undefined);
  from.on('close', () => {
    standing.links.delete(link);
    if (!to.destroyed) to.destroySoon();
  });
}

/** Starts a proxy on a free loopback port. */
export async function startTcpProxy(target: { host: string; port: number }): Promise<TcpProxy> {
  const standing: Standing = { links: new Set(), fault: {}, cut: undefined };
  const { links } = standing;
  const server = createServer((client) => {
    client.setNoDelay(true);
    if (standing.fault.refuse === true) {
      client.resetAndDestroy();
      return;
    }
    const link: Link = { client, server: createConnection(target) };
    link.server.setNoDelay(true);
    links.add(link);
    forward(standing, link, 'to-server');
    forward(standing, link, 'to-client');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    set: (next) => {
      standing.fault = next;
    },
    reset: () => {
      const open = [...links];
      for (const link of open) resetLink(standing, link);
      return open.length;
    },
    cutAfterRequest: (text = '') =>
      new Promise((done) => {
        standing.cut = { text, done };
      }),
    connections: () => links.size,
    close: async () => {
      for (const link of [...links]) resetLink(standing, link);
      server.close();
      await once(server, 'close');
    },
  };
}
