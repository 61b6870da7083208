import { connect, type AddressInfo, type Socket } from 'node:net';
import { createApp } from '../../src/api/app.js';
import type { Route } from '../../src/api/route.js';
import type { EdgeDeps } from '../../src/api/serve-route.js';
import type { Principal } from '../../src/domain/access/principal.js';
import { createEdgeServer } from '../../src/main/edge-server.js';

const principal: Principal = {
  ...{ tenant: 'acme', subject: 'prn_a', name: 'a', kind: 'service', roles: [], groups: [] },
  ...{ permissions: new Set(), env: 'prod', via: 'api-key' },
};

/** The first answer on a connection, and when the connection ended. */
export interface RawAnswer {
  status: number;
  /** Head and body, and whatever came after them. */
  text: string;
  afterMs: number;
}

/** The public application with routes of a test, as the API listens with it, and its callers on the wire. */
export interface RawEdge {
  port: number;
  /** What the log got, as text. */
  logged: string[];
  /** Sends these very bytes and the end of the stream. */
  send: (bytes: string | Buffer) => Promise<RawAnswer>;
  /** Sends this and then `more` every 20 ms, nothing where there is none, until the other side ends it. */
  keepSending: (text: string, more?: string) => Promise<RawAnswer>;
  stop: () => Promise<void>;
}

/** Short limits, so that a test sees them pass. */
const LIMITS = {
  connections: 20,
  addressConnections: 10,
  headersMs: 400,
  idleMs: 500,
  lingerMs: 200,
};

/** Longer than any limit lets a connection lie: who comes to this fails on `afterMs`. */
const PATIENCE_MS = 15_000;

/** What came on a connection until it was closed. */
function heard(port: number, begin: (socket: Socket) => void): Promise<RawAnswer> {
  const since = performance.now();
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    const socket = connect(port, '127.0.0.1', () => begin(socket));
    socket.on('data', (chunk: Buffer) => chunks.push(chunk));
    // What was sent after the other side had closed: the answer is there already.
    socket.on('error', () => undefined);
    const patience = setTimeout(() => socket.destroy(), PATIENCE_MS);
    socket.on('close', () => {
      clearTimeout(patience);
      const text = Buffer.concat(chunks).toString();
      const status = Number(/^HTTP\/1.1 (\d{3})/.exec(text)?.[1] ?? 0);
      resolve({ status, text, afterMs: performance.now() - since });
    });
  });
}

/** Listens on loopback; everyone is one principal unless `deps` says otherwise. */
export async function listenRaw(routes: Route[], deps: Partial<EdgeDeps> = {}): Promise<RawEdge> {
  const logged: string[] = [];
  const log = (facts: object, message: string) =>
    void logged.push(`${message} ${JSON.stringify(facts)}`);
  let requests = 0;
  const newRequestId = (): string => `req_${++requests}`;
  const app = createApp(routes, {
    authenticate: () => Promise.resolve(principal),
    startWorkflow: () => Promise.resolve(),
    wakeWorkflow: () => Promise.resolve(),
    recordRefusal: () => Promise.resolve(),
    newRequestId,
    log: { warn: log, error: log },
    observe: () => undefined,
    stopping: new AbortController().signal,
    hosts: new Set(['localhost', '[::1]']),
    ...deps,
  });
  const server = createEdgeServer(app, { ...LIMITS, newRequestId });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    port,
    logged,
    send: (bytes) => heard(port, (socket) => void socket.end(bytes)),
    keepSending: (text, more) =>
      heard(port, (socket) => {
        socket.write(text);
        if (more === undefined) return;
        const timer = setInterval(() => socket.write(more), 20);
        socket.once('close', () => clearInterval(timer));
      }),
    stop: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** The head of a request, without the end of its connection unless a line says so. */
export const headOf = (lines: string[], target = '/v1/things/a', method = 'POST'): string =>
  [`${method} ${target} HTTP/1.1`, ...lines, '', ''].join('\r\n');

/** A whole request with a JSON body, the last one on its connection. */
export function jsonRequest(
  body: string | Buffer,
  more: string[] = [],
  { target, method, key = 'k' }: { target?: string; method?: string; key?: string | null } = {},
): Buffer {
  const bytes = Buffer.from(body);
  const lines = [
    ...['Host: localhost', 'Content-Type: application/json', `Content-Length: ${bytes.length}`],
    ...(key === null ? [] : [`Idempotency-Key: ${key}`]),
    ...[...more, 'Connection: close'],
  ];
  return Buffer.concat([Buffer.from(headOf(lines, target, method)), bytes]);
}
