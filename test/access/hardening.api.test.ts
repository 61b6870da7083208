import type { Server } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import type express from 'express';
import { z } from 'zod';
import { createApp } from '../../src/api/app.js';
import { route } from '../../src/api/route.js';
import type { Principal } from '../../src/domain/access/principal.js';
import { createEdgeServer } from '../../src/main/edge-server.js';

const principal: Principal = {
  ...{ tenant: 'acme', subject: 'prn_a', name: 'a', kind: 'service', roles: [], groups: [] },
  ...{ permissions: new Set(), env: 'prod', via: 'api-key' },
};

const echo = route({
  method: 'post',
  path: '/v1/things/{id}',
  operation: 'things.echo',
  summary: 'Answers what it was sent',
  permission: 'any',
  params: z.strictObject({ id: z.string().regex(/^[a-z]+$/) }),
  query: z.strictObject({ name: z.string().optional() }),
  body: z.strictObject({ metadata: z.record(z.string(), z.unknown()).optional() }),
  response: { status: 200, schema: z.looseObject({}), description: 'The same.' },
  problems: [],
  bodyDeadlineMs: 500,
  handle: ({ body }) => Promise.resolve({ status: 200, body }),
});

/** The public application with one route, as the API listens with it. */
async function listening(): Promise<{ server: Server; port: number }> {
  const app: express.Express = createApp([echo], {
    authenticate: () => Promise.resolve(principal),
    startWorkflow: () => Promise.resolve(),
    wakeWorkflow: () => Promise.resolve(),
    recordRefusal: () => Promise.resolve(),
    newRequestId: () => 'req_1',
    log: { warn: () => undefined, error: () => undefined },
    observe: () => undefined,
    stopping: new AbortController().signal,
    hosts: new Set(['localhost', '[::1]']),
  });
  const limits = { connections: 20, addressConnections: 10, headersMs: 400, idleMs: 500 };
  const server = createEdgeServer(app, limits);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { server, port: (server.address() as AddressInfo).port };
}

let server: Server;
let port: number;
beforeAll(async () => {
  ({ server, port } = await listening());
});
afterAll(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

/** Sends these very bytes; answers status and body of the first answer. */
function send(text: string | Buffer): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => socket.end(text));
    const chunks: Buffer[] = [];
    socket.on('data', (chunk: Buffer) => chunks.push(chunk));
    socket.on('error', reject);
    socket.on('close', () => {
      const answer = Buffer.concat(chunks).toString();
      resolve({ status: Number(/^HTTP\/1.1 (\d{3})/.exec(answer)?.[1] ?? 0), text: answer });
    });
  });
}

const head = (lines: string[], target = '/v1/things/a', method = 'POST') =>
  [`${method} ${target} HTTP/1.1`, ...lines, 'Connection: close', '', ''].join('\r\n');

const json = (body: string | Buffer, more: string[] = [], target = '/v1/things/a') => {
  const bytes = Buffer.from(body);
  const own = ['Host: localhost', 'Idempotency-Key: k', 'Content-Type: application/json'];
  return send(
    Buffer.concat([
      Buffer.from(head([...own, `Content-Length: ${bytes.length}`, ...more], target)),
      bytes,
    ]),
  );
};

describe('a request', () => {
  test.each([
    ['no Host header', []],
    ['two Host headers', ['Host: localhost', 'Host: localhost']],
    ['another name than the API has', ['Host: attacker.example']],
    ['an address that is no host', ['Host: localhost/x@y']],
  ])('with %s is refused before anything else', async (_, lines) => {
    const answer = await send(head([...lines, 'Content-Length: 0']));
    expect(answer.status).toBe(400);
    expect(answer.text).not.toContain('"body"');
  });

  test('names the API with and without a port', async () => {
    expect((await json('{}')).status).toBe(200);
    const withPort = await send(
      head(['Host: [::1]:7080', 'Idempotency-Key: k', 'Content-Length: 0']),
    );
    expect(withPort.status).toBe(200);
  });

  test.each(['__proto__', 'constructor', 'prototype'])(
    'with the key %s anywhere is refused with its pointer',
    async (key) => {
      const answer = await json(`{"metadata":{"a":[{"${key}":1}]}}`);
      expect(answer.status).toBe(400);
      expect(answer.text).toContain(`"pointer":"/metadata/a/0/${key}"`);
      expect(answer.text).toContain('forbidden_key');
    },
  );

  test.each(['__proto__', 'constructor', 'prototype'])(
    'with the parameter %s is refused with its pointer',
    async (key) => {
      const answer = await json('{}', [], `/v1/things/a?name=b&${key}=1`);
      expect(answer.status).toBe(400);
      expect(answer.text).toContain(`"pointer":"/query/${key}"`);
      expect(answer.text).toContain('forbidden_key');
    },
  );

  test('nested deeper than 32 is refused, and 31 levels pass', async () => {
    const nested = (depth: number) => `{"metadata":{"a":${'['.repeat(depth)}${']'.repeat(depth)}}}`;
    expect((await json(nested(30))).status).toBe(200);
    expect((await json(nested(31))).text).toContain('too_deep');
    expect((await json(nested(50_000))).status).toBe(400);
  });

  test('of bytes that are no UTF-8, of half a character or with a NUL is refused', async () => {
    const invalid = Buffer.concat([
      Buffer.from('{"metadata":{"a":"'),
      Buffer.from([0xff, 0xfe]),
      Buffer.from('"}}'),
    ]);
    expect((await json(invalid)).text).toContain('invalid_json');
    for (const text of ['\\u0000', '\\ud800'])
      expect((await json(`{"metadata":{"a":"${text}"}}`)).text).toContain('invalid_text');
    expect((await json('{}', [], '/v1/things/a?name=%00')).text).toContain('invalid_text');
  });

  test('with another charset, or compressed, is refused', async () => {
    const charset = head([
      ...['Host: localhost', 'Idempotency-Key: k', 'Content-Length: 2'],
      'Content-Type: application/json; charset=utf-16',
    ]);
    expect((await send(`${charset}{}`)).status).toBe(415);
    expect((await json('{}', ['Content-Encoding: gzip'])).status).toBe(415);
  });

  test('with more than 1,000 parameters, a body over 256 KiB or a head over 16 KB is refused', async () => {
    const many = Array.from({ length: 1_001 }, (_, at) => `p${at}=1`).join('&');
    expect((await json('{}', [], `/v1/things/a?${many}`)).text).toContain('too_many');
    const large = JSON.stringify({ metadata: { a: 'x'.repeat(262_144) } });
    expect((await json(large)).status).toBe(413);
    expect((await json('{}', [`X-Long: ${'x'.repeat(17_000)}`])).status).toBe(431);
  });

  test('whose path leads elsewhere after decoding finds nothing, and one that cannot be decoded is refused', async () => {
    const outside = await json('{}', [], '/v1/things/%2e%2e%2fkeys');
    expect(outside.status).toBe(400);
    expect(outside.text).toContain('"pointer":"/path/id"');
    expect((await json('{}', [], '/v1/things/%E0%A4%A')).status).toBe(400);
  });

  test('with another method is told which ones there are; no header overrides it', async () => {
    const answer = await send(
      head(['Host: localhost', 'X-HTTP-Method-Override: POST'], '/v1/things/a', 'DELETE'),
    );
    expect(answer.status).toBe(405);
    expect(answer.text).toMatch(/^Allow: POST\r$/m);
  });
});

/** What a client hears that sends this and then nothing more, and after how long its connection ends. */
function stall(text: string): Promise<{ text: string; afterMs: number }> {
  const since = performance.now();
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    const socket = connect(port, '127.0.0.1', () => socket.write(text));
    socket.on('data', (chunk: Buffer) => chunks.push(chunk)).on('error', () => undefined);
    socket.on('close', () =>
      resolve({ text: Buffer.concat(chunks).toString(), afterMs: performance.now() - since }),
    );
  });
}

describe('a slow client', () => {
  const started = ['POST /v1/things/a HTTP/1.1', 'Host: localhost', 'Idempotency-Key: k'];

  test('that never ends its head is cut off', async () => {
    const answer = await stall(started.join('\r\n'));
    expect(answer.text).toMatch(/^HTTP\/1.1 408/);
    expect(answer.afterMs).toBeLessThan(10_000);
  });

  test('that never ends its body is told so, and its connection ends', async () => {
    const head = [...started, 'Content-Type: application/json', 'Content-Length: 100', '', '{"'];
    const answer = await stall(head.join('\r\n'));
    expect(answer.text).toMatch(/^HTTP\/1.1 408/);
    expect(answer.text).toContain('REQUEST_TIMEOUT');
    expect(answer.afterMs).toBeLessThan(10_000);
  });

  test('that keeps a connection without asking anything loses it', async () => {
    const head = [...started, 'Content-Length: 0', '', ''];
    const answer = await stall(head.join('\r\n'));
    expect(answer.text).toMatch(/^HTTP\/1.1 200/);
    expect(answer.afterMs).toBeLessThan(10_000);
  });
});

test('connections beyond those of one address are closed, and one that ends makes room', async () => {
  const sockets = Array.from({ length: 12 }, () => connect(port, '127.0.0.1'));
  const closed = await Promise.all(
    sockets.map(
      (socket) =>
        new Promise<boolean>((resolve) => {
          socket.on('error', () => undefined).once('close', () => resolve(true));
          socket.once('connect', () => {
            socket.write('GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n');
            socket.once('data', () => resolve(false));
          });
        }),
    ),
  );
  expect(closed.filter(Boolean)).toHaveLength(2);
  await Promise.all(
    sockets
      .filter(({ closed: isClosed }) => !isClosed)
      .map((socket) => new Promise((resolve) => socket.once('close', resolve).destroy())),
  );
  expect((await json('{}')).status).toBe(200);
});
