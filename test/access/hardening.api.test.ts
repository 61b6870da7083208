import { once } from 'node:events';
import { ServerResponse } from 'node:http';
import { connect } from 'node:net';
import { queryObjects } from 'node:v8';
import { z } from 'zod';
import { route, type Reply } from '../../src/api/route.js';
import { receiveUpload } from '../../src/api/receive-upload.js';
import { headOf, jsonRequest, listenRaw, type RawAnswer, type RawEdge } from './raw-edge.js';

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

const read = route({
  method: 'get',
  path: '/v1/things/{id}',
  operation: 'things.get',
  summary: 'Answers nothing',
  permission: 'any',
  response: { status: 200, schema: z.object({}), description: 'Nothing.' },
  problems: [],
  handle: () => Promise.resolve({ status: 200, body: {} }),
});

const broken = route({
  method: 'get',
  path: '/v1/broken',
  operation: 'things.break',
  summary: 'Fails',
  permission: 'any',
  response: { status: 200, schema: z.object({}), description: 'Never.' },
  problems: [],
  handle: () => {
    throw new TypeError('the password is hunter2');
  },
});

const forbidden = route({ ...read.spec, path: '/v1/audit', operation: 'audit.get' });
forbidden.spec.permission = 'audit:read';

const upload = route({
  method: 'put',
  path: '/v1/files',
  operation: 'files.put',
  summary: 'Counts what was uploaded',
  permission: 'any',
  upload: { fields: z.strictObject({}), fileDescription: 'Anything.', limitBytes: 1_000 },
  response: { status: 200, schema: z.object({ bytes: z.int() }), description: 'The count.' },
  problems: [],
  handle: async ({ raw, signal }) => {
    const limits = { limitBytes: 1_000, deadlineMs: 300, signal: signal() };
    const bytes = await receiveUpload(raw, {
      ...limits,
      onFile: async (_options, file) => {
        let count = 0;
        for await (const chunk of file) count += chunk.length;
        return count;
      },
    });
    return { status: 200, body: { bytes } };
  },
});

let edge: RawEdge;
beforeAll(async () => {
  edge = await listenRaw([echo, read, broken, forbidden, upload]);
});
afterAll(() => edge.stop());

const head = (lines: string[], target = '/v1/things/a', method = 'POST') =>
  headOf([...lines, 'Connection: close'], target, method);
const json = (body: string | Buffer, more: string[] = [], target = '/v1/things/a') =>
  edge.send(jsonRequest(body, more, { target }));
const send = (text: string | Buffer) => edge.send(text);

describe('a request', () => {
  test.each([
    ['no Host header', []],
    ['two Host headers', ['Host: localhost', 'Host: localhost']],
    ['another name than the API has', ['Host: attacker.example']],
    ['an address that is no host', ['Host: localhost/x@y']],
  ])('with %s is refused before anything else', async (_, lines) => {
    const answer = await send(head([...lines, 'Content-Length: 0']));
    expect(answer.status).toBe(400);
    expect(answer.text).toContain('"pointer":"/header/host"');
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
    const many = (length: number) => Array.from({ length }, (_, at) => `p${at}=1`).join('&');
    expect((await json('{}', [], `/v1/things/a?${many(1_001)}`)).text).toContain('too_many');
    // Counted and let through to who knows their names.
    const counted = (await json('{}', [], `/v1/things/a?${many(1_000)}`)).text;
    expect(counted).not.toContain('too_many');
    expect(counted).toContain('"pointer":"/query/p999"');
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
    expect(answer.text).toMatch(/^Allow: GET, HEAD, POST\r$/m);
  });
});

describe('an Idempotency-Key', () => {
  test.each([
    ['missing', null, 400],
    ['empty', '', 400],
    ['of 256 characters', 'k'.repeat(256), 400],
    ['of 255 characters', 'k'.repeat(255), 200],
    ['of one character', 'k', 200],
  ])('%s', async (_, key, status) => {
    const answer = await edge.send(jsonRequest('{}', [], { key }));
    expect(answer.status).toBe(status);
    if (status === 400) expect(answer.text).toContain('"code":"IDEMPOTENCY_KEY_REQUIRED"');
  });
});

describe('an upload', () => {
  const lines = [
    ...['Host: localhost', 'Idempotency-Key: k'],
    'Content-Type: multipart/form-data; boundary=b',
  ];
  const options = '--b\r\nContent-Disposition: form-data; name="options"\r\n\r\n{}\r\n';
  const file = '--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n1,2';
  const put = (body: string, more: string[]) =>
    `${headOf([...lines, ...more], '/v1/files', 'PUT')}${body}`;

  test('of a whole form is read', async () => {
    const body = `${options}${file}\r\n--b--\r\n`;
    const sized = [`Content-Length: ${body.length}`, 'Connection: close'];
    expect((await send(put(body, sized))).text).toContain('{"bytes":3}');
  });

  test('that is compressed is refused', async () => {
    const sized = ['Content-Length: 2', 'Content-Encoding: gzip', 'Connection: close'];
    const answer = await send(put('--', sized));
    expect(answer.status).toBe(415);
    expect(answer.text).toContain('UNSUPPORTED_MEDIA_TYPE');
  });

  test.each([
    ['before its file', options],
    ['within its file', options + file],
  ])('that stalls %s is told so, and its connection ends', async (_, body) => {
    const answer = await edge.keepSending(put(body, ['Content-Length: 900']));
    expect(answer.status).toBe(408);
    expect(answer.text).toContain('REQUEST_TIMEOUT');
    expect(answer.text).toMatch(/^x-should-retry: true\r$/m);
    expect(answer.afterMs).toBeLessThan(10_000);
  });
});

describe('what is answered without reading the body', () => {
  const endless = ['Content-Type: application/json', 'Transfer-Encoding: chunked'];
  const chunk = '1\r\n \r\n';

  test.each([
    [400, ['Host: localhost'], 'GET /v1/things/a'],
    [400, ['Host: localhost'], 'PUT /v1/files'],
    [400, ['Host: attacker.example'], 'POST /v1/things/a'],
    [403, ['Host: localhost'], 'GET /v1/audit'],
    [404, ['Host: localhost'], 'POST /v1/nothing'],
    [405, ['Host: localhost'], 'DELETE /v1/things/a'],
    [415, ['Host: localhost', 'Content-Encoding: gzip'], 'POST /v1/things/a'],
    [200, ['Host: localhost'], 'GET /docs/start.js'],
  ])(
    'is heard, and a body without end ends with its connection: %i to %s %s',
    async (status, lines, asked) => {
      const [method, target] = asked.split(' ');
      const answer = await edge.keepSending(headOf([...lines, ...endless], target, method), chunk);
      expect(answer.status).toBe(status);
      expect(answer.afterMs).toBeLessThan(10_000);
    },
  );

  test('401: the same, with nobody known', async () => {
    const own = await listenRaw([echo], { authenticate: () => Promise.resolve(undefined) });
    const answer = await own.keepSending(headOf(['Host: localhost', ...endless]), chunk);
    await own.stop();
    expect(answer.status).toBe(401);
    expect(answer.afterMs).toBeLessThan(10_000);
  });

  test('413: a length that is too much is refused when it is announced, not when it is over', async () => {
    const announced = ['Content-Type: application/json', 'Content-Length: 262145'];
    const lines = ['Host: localhost', 'Idempotency-Key: k', ...announced];
    const answer = await edge.keepSending(headOf(lines));
    expect(answer.status).toBe(413);
    expect(answer.text).toContain('PAYLOAD_TOO_LARGE');
    expect(answer.afterMs).toBeLessThan(10_000);
  });

  test('a body that ends in time leaves its connection to the next request', async () => {
    const own = await listenRaw([read, echo], { authenticate: () => Promise.resolve(undefined) });
    const first = headOf(['Host: localhost', 'Content-Length: 10']);
    const next = headOf(['Host: localhost', 'Connection: close'], '/openapi.json', 'GET');
    const answers = await new Promise<string>((resolve) => {
      let text = '';
      const socket = connect(own.port, '127.0.0.1', () => socket.write(first));
      socket.on('data', (chunk: Buffer) => {
        if (text === '') socket.write(`0123456789${next}`);
        text += chunk.toString();
      });
      socket.on('close', () => resolve(text));
    });
    await own.stop();
    expect(answers).toMatch(/^HTTP\/1.1 401/);
    expect(answers).toContain('HTTP/1.1 200 OK');
  });
});

describe('every answer', () => {
  const header = ({ text }: RawAnswer, name: string) =>
    new RegExp(`^${name}: (.*)\r$`, 'im').exec(text.split('\r\n\r\n')[0] + '\r\n')?.[1];
  const host = 'Host: localhost';

  test.each([
    ['200', 200, () => json('{}')],
    ['400 of a field', 400, () => json('{"x":1}')],
    ['400 without a Host', 400, () => send(head([]))],
    ['400 with two Hosts', 400, () => send(head([host, host]))],
    ['400 of the query', 400, () => json('{}', [], '/v1/things/a?__proto__=1')],
    ['400 that is no HTTP', 400, () => send('NONSENSE\r\n\r\n')],
    [
      '400 with two lengths',
      400,
      () => send(head([host, 'Content-Length: 1', 'Content-Length: 2'])),
    ],
    ['404', 404, () => send(head([host], '/nothing', 'GET'))],
    ['405', 405, () => send(head([host], '/v1/things/a', 'PUT'))],
    ['408 of a head', 408, () => edge.keepSending(`POST /v1/things/a HTTP/1.1\r\n${host}`)],
    ['415', 415, () => json('{}', ['Content-Encoding: br'])],
    ['431', 431, () => json('{}', [`X-Long: ${'x'.repeat(17_000)}`])],
    ['500', 500, () => send(head([host], '/v1/broken', 'GET'))],
  ])(
    'is kept by no cache, sniffed by no browser, and a refusal is a problem: %s',
    async (_, status, ask) => {
      const answer = await ask();
      expect(answer.status).toBe(status);
      expect(header(answer, 'cache-control')).toBe('private, no-store');
      expect(header(answer, 'vary')).toBe('Authorization');
      expect(header(answer, 'x-content-type-options')).toBe('nosniff');
      expect(header(answer, 'x-request-id')).toMatch(/^req_/);
      if (status === 200) return;
      expect(header(answer, 'content-type')).toBe('application/problem+json; charset=utf-8');
      const problem = JSON.parse(answer.text.split('\r\n\r\n')[1] ?? '') as Record<string, unknown>;
      expect(problem).toMatchObject({ status, requestId: header(answer, 'x-request-id') });
    },
  );

  test('of a route that throws says nothing of why, and the log does', async () => {
    const answer = await send(head([host], '/v1/broken', 'GET'));
    expect(answer.status).toBe(500);
    expect(answer.text).not.toMatch(/hunter2|TypeError|\.ts|node_modules/);
    expect(header(answer, 'content-security-policy')).toContain("default-src 'self'");
    expect(edge.logged.join('\n')).toContain('TypeError: the password is hunter2');
  });

  test('goes to the request that it answers: what cannot be read behind one under way ends the connection', async () => {
    let finish: () => void = () => undefined;
    const slow = route({
      ...read.spec,
      handle: () =>
        new Promise<Reply<object>>((resolve) => {
          finish = () => resolve({ status: 200, body: {} });
        }),
    });
    const own = await listenRaw([slow]);
    const asked = headOf([host], '/v1/things/a', 'GET');
    const answer = await own.keepSending(`${asked}NONSENSE\r\n\r\n`);
    finish();
    await own.stop();
    expect(answer.text).toBe('');
  });
});

describe('a request that was answered is not held in memory', () => {
  const held = () => queryObjects(ServerResponse, { format: 'count' });
  const asked = headOf(['Host: localhost'], '/v1/things/a', 'GET');
  const text = ['Host: localhost', 'Content-Type: text/plain', 'Content-Length: 4'];

  test.each([
    ['by its open connection', `${asked}`, 200],
    ['by the wait for its body, which nobody reads and which is there', `${headOf(text)}text`, 415],
  ])('%s', async (_by, request, status) => {
    const before = held();
    const answered = await Promise.all(
      Array.from({ length: 8 }, async () => {
        const socket = connect(edge.port, '127.0.0.1').on('error', () => undefined);
        socket.write(request);
        const [bytes] = (await once(socket, 'data')) as [Buffer];
        expect(bytes.toString()).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
        return socket;
      }),
    );
    const after = held();
    expect(answered.filter(({ readyState }) => readyState === 'open')).toHaveLength(8);
    expect(after - before).toBeLessThan(4);
    await Promise.all(answered.map((socket) => once(socket.destroy(), 'close')));
  });
});

describe('a slow client', () => {
  const started = ['POST /v1/things/a HTTP/1.1', 'Host: localhost', 'Idempotency-Key: k'];

  test('that never ends its head is cut off', async () => {
    const answer = await edge.keepSending(started.join('\r\n'));
    expect(answer.text).toMatch(/^HTTP\/1.1 408/);
    expect(answer.afterMs).toBeLessThan(10_000);
  });

  test('that never ends its body is told so, and its connection ends', async () => {
    const head = [...started, 'Content-Type: application/json', 'Content-Length: 100', '', '{"'];
    const answer = await edge.keepSending(head.join('\r\n'));
    expect(answer.text).toMatch(/^HTTP\/1.1 408/);
    expect(answer.text).toContain('REQUEST_TIMEOUT');
    expect(answer.afterMs).toBeLessThan(10_000);
  });

  test('that keeps a connection without asking anything loses it', async () => {
    const head = [...started, 'Content-Length: 0', '', ''];
    const answer = await edge.keepSending(head.join('\r\n'));
    expect(answer.text).toMatch(/^HTTP\/1.1 200/);
    expect(answer.afterMs).toBeLessThan(10_000);
  });
});

test('connections beyond those of one address are closed, and one that ends makes room', async () => {
  const sockets = Array.from({ length: 12 }, () => connect(edge.port, '127.0.0.1'));
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
