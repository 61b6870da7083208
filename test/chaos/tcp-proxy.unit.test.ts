import { once } from 'node:events';
import {
  createConnection,
  createServer,
  type AddressInfo,
  type Server,
  type Socket,
} from 'node:net';
import { eventually } from '../support/eventually.js';
import { startTcpProxy, type TcpProxy } from './tcp-proxy.js';

let server: Server;
let proxy: TcpProxy;
let received: string;

beforeEach(async () => {
  received = '';
  server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.on('data', (chunk: Buffer) => {
      received += chunk.toString();
      socket.write(`answer to ${chunk.toString()}`);
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  proxy = await startTcpProxy({ host: '127.0.0.1', port: (server.address() as AddressInfo).port });
});
afterEach(async () => {
  await proxy.close();
  server.close();
});

interface Caller {
  socket: Socket;
  heard: () => string;
  error: () => string | undefined;
}

async function call(): Promise<Caller> {
  const socket = createConnection({ host: '127.0.0.1', port: proxy.port });
  let heard = '';
  let code: string | undefined;
  socket.on('data', (chunk: Buffer) => {
    heard += chunk.toString();
  });
  socket.on('error', (error: NodeJS.ErrnoException) => {
    code = error.code;
  });
  await once(socket, 'connect');
  return { socket, heard: () => heard, error: () => code };
}

const answered = (caller: Caller, text: string) =>
  eventually(() => expect(caller.heard()).toContain(text));

it('hands on what both sides say', async () => {
  const caller = await call();
  caller.socket.write('one');
  await answered(caller, 'answer to one');
  caller.socket.destroy();
});

it('cuts a connection after the request has reached the server: the caller sees a reset and never the answer', async () => {
  const caller = await call();
  caller.socket.write('before');
  await answered(caller, 'answer to before');
  const cut = proxy.cutAfterRequest('COMMIT');
  caller.socket.write('COMMIT');
  await cut;
  await eventually(() => expect(caller.error()).toBe('ECONNRESET'));
  await eventually(() => expect(received).toBe('beforeCOMMIT'));
  expect(caller.heard()).not.toContain('answer to COMMIT');
});

it('resets every open connection, and serves the next one', async () => {
  const caller = await call();
  caller.socket.write('one');
  await answered(caller, 'answer to one');
  expect(proxy.reset()).toBe(1);
  await eventually(() => expect(caller.error()).toBe('ECONNRESET'));
  const next = await call();
  next.socket.write('two');
  await answered(next, 'answer to two');
  next.socket.destroy();
});

it('swallows one direction alone: the server hears what the caller gets no answer to', async () => {
  const caller = await call();
  proxy.set({ blackhole: 'to-client' });
  caller.socket.write('one');
  await eventually(() => expect(received).toBe('one'));
  proxy.set({});
  caller.socket.write('two');
  await answered(caller, 'answer to two');
  expect(caller.heard()).not.toContain('answer to one');
  caller.socket.destroy();
});

it('delays by its latency', async () => {
  const caller = await call();
  proxy.set({ latencyMs: 60 });
  const since = performance.now();
  caller.socket.write('one');
  await answered(caller, 'answer to one');
  expect(performance.now() - since).toBeGreaterThanOrEqual(118);
  caller.socket.destroy();
});
