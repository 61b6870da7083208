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

/** Starts a proxy on a free loopback port. */
export async function startTcpProxy(target: { host: string; port: number }): Promise<TcpProxy> {
  const links = new Set<Link>();
  let fault: LinkFault = {};
  let cut: { text: string; done: () => void } | undefined;

  const resetLink = (link: Link): void => {
    links.delete(link);
    link.client.resetAndDestroy();
    link.server.resetAndDestroy();
  };
  const swallows = (way: 'to-server' | 'to-client'): boolean =>
    fault.blackhole === 'both' || fault.blackhole === way;
  const forward = (link: Link, way: 'to-server' | 'to-client') => {
    const [from, to] =
      way === 'to-server' ? [link.client, link.server] : [link.server, link.client];
    from.on('data', (chunk: Buffer) => {
      if (swallows(way)) return;
      const isCut = way === 'to-server' && cut !== undefined && chunk.includes(cut.text);
      const done = cut?.done;
      if (isCut) cut = undefined;
      const pass = () => {
        if (to.destroyed) return;
        if (!isCut) return void to.write(chunk);
        // The server gets all of it and works on it; its answer meets a closed door.
        to.write(chunk, () => {
          link.client.resetAndDestroy();
          link.server.removeAllListeners('data').resume();
          link.server.end();
          links.delete(link);
          done?.();
        });
      };
      const { latencyMs = 0 } = fault;
      if (latencyMs > 0) setTimeout(pass, latencyMs);
      else pass();
    });
    from.on('error', () => undefined);
    from.on('close', () => {
      links.delete(link);
      if (!to.destroyed) to.destroySoon();
    });
  };
  const server = createServer((client) => {
    client.setNoDelay(true);
    if (fault.refuse === true) {
      client.resetAndDestroy();
      return;
    }
    const link: Link = { client, server: createConnection(target) };
    link.server.setNoDelay(true);
    links.add(link);
    forward(link, 'to-server');
    forward(link, 'to-client');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    set: (next) => {
      fault = next;
    },
    reset: () => {
      const open = [...links];
      for (const link of open) resetLink(link);
      return open.length;
    },
    cutAfterRequest: (text = '') =>
      new Promise((done) => {
        cut = { text, done };
      }),
    connections: () => links.size,
    close: async () => {
      for (const link of [...links]) resetLink(link);
      server.close();
      await once(server, 'close');
    },
  };
}
