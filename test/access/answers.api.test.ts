import { z } from 'zod';
import { route, type Route } from '../../src/api/route.js';
import { errorTable, PlatformError, type ErrorCode } from '../../src/domain/errors.js';
import { allRoutes } from '../../src/main/routes.js';
import { headOf, jsonRequest, listenRaw, type RawAnswer, type RawEdge } from './raw-edge.js';

const viewSchema = z.object({
  id: z.string(),
  parts: z.array(z.union([z.object({ n: z.int() }), z.object({ text: z.string() })])),
  notes: z.looseObject({}),
});
/** What a view takes along where it hands on a row, at every depth. */
const row = {
  id: 'a',
  secret_hash: 'leaked',
  parts: [
    { n: 1, tenant_id: 'leaked' },
    { text: 'b', internal: 'leaked' },
  ],
  notes: { kept: 'as its schema says' },
};
const view = '{"id":"a","parts":[{"n":1},{"text":"b"}],"notes":{"kept":"as its schema says"}}';

let handled = 0;
let answered: { status: number; body: unknown; replayed?: boolean } = { status: 200, body: row };
let refusal: PlatformError | undefined;
const handle = (): Promise<never> => {
  handled += 1;
  return refusal === undefined ? Promise.resolve(answered as never) : Promise.reject(refusal);
};
const common = { summary: 'Does it', permission: 'any' as const, problems: [] };
const response = { status: 200, schema: viewSchema, description: 'A view.' };
const reads = route({
  ...{ ...common, method: 'get', path: '/v1/things', operation: 'things.get', response },
  handle,
});
const acts = route({
  ...{ ...common, method: 'post', path: '/v1/things', operation: 'things.act', response },
  handle,
});
const starts = route({
  ...{ ...common, method: 'post', path: '/v1/runs', operation: 'runs.create' },
  response: { status: 202, schema: z.object({ id: z.string() }), description: 'Begun.' },
  handle,
  wait: { schema: viewSchema, read: () => Promise.resolve({ status: 200, body: row }) },
});

let edge: RawEdge;
beforeAll(async () => {
  edge = await listenRaw([reads, acts, starts]);
});
beforeEach(() => {
  handled = 0;
  answered = { status: 200, body: row };
  refusal = undefined;
});
afterAll(() => edge.stop());

const bodyOf = ({ text }: RawAnswer): string => text.split('\r\n\r\n')[1] ?? '';
const get = (target = '/v1/things') =>
  edge.send(headOf(['Host: localhost', 'Connection: close'], target, 'GET'));
const post = (body: string, target = '/v1/things', more: string[] = []) =>
  edge.send(jsonRequest(body, more, { target }));
const errorsOf = (answer: RawAnswer): unknown =>
  (JSON.parse(bodyOf(answer)) as { errors?: unknown }).errors;

describe('an answer', () => {
  test('has what its schema declares and nothing else, at every depth', async () => {
    expect(bodyOf(await get())).toBe(view);
  });

  test('that was kept under an idempotency key has no more', async () => {
    answered = { status: 200, body: row, replayed: true };
    const answer = await post('');
    expect(answer.text).toMatch(/^Idempotent-Replayed: true\r$/m);
    expect(bodyOf(answer)).toBe(view);
  });

  test('to who waited has the result by the schema of results, also where it is a replay', async () => {
    answered = { status: 202, body: { id: 'a', workflowId: 'leaked' } };
    expect(bodyOf(await post('', '/v1/runs'))).toBe('{"id":"a"}');
    const waited = await post('', '/v1/runs', ['Prefer: wait=1']);
    expect([waited.status, bodyOf(waited)]).toEqual([200, view]);
    answered = { status: 200, body: row, replayed: true };
    expect(bodyOf(await post('', '/v1/runs'))).toBe(view);
  });

  test('that does not fit its schema is a failure of ours: paths in the log, its values nowhere', async () => {
    answered = {
      status: 200,
      body: { id: 'hunter2', parts: [{ n: 'hunter2' }], notes: 'hunter2' },
    };
    const answer = await get();
    expect(answer.status).toBe(500);
    expect(JSON.parse(bodyOf(answer))).toMatchObject({ code: 'INTERNAL' });
    expect(answer.text).not.toMatch(/hunter2|parts|notes/);
    const log = edge.logged.join('\n');
    expect(log).toContain('the answer of things.get does not fit its schema');
    expect(log).toContain('/parts/0/n invalid_type');
    expect(log).toContain('/notes invalid_type');
    expect(log).not.toContain('hunter2');
  });
});

describe('what a route does not declare is refused with its pointer, and nothing is done', () => {
  const unknown = (pointer: string) => [
    { pointer, code: 'unknown_key', detail: expect.any(String) as string },
  ];

  test('a parameter of a route that takes none', async () => {
    for (const answer of [
      await post('', '/v1/things?dryRun=true'),
      await get('/v1/things?dryRun'),
    ]) {
      expect(answer.status).toBe(400);
      expect(errorsOf(answer)).toEqual(unknown('/query/dryRun'));
    }
    expect(handled).toBe(0);
  });

  test('a body of a route that takes none', async () => {
    const answer = await post('{"dryRun":true}');
    expect(answer.status).toBe(400);
    expect(errorsOf(answer)).toEqual(unknown('/dryRun'));
    for (const body of ['[]', 'null', '1', '"a"', '{'])
      expect([body, (await post(body)).status]).toEqual([body, 400]);
    expect((await post('x'.repeat(262_145))).status).toBe(413);
    expect(handled).toBe(0);
  });

  test('a body of GET, before a byte of it is read', async () => {
    const sized = ['Host: localhost', 'Content-Length: 2'];
    const answer = await edge.keepSending(headOf(sized, '/v1/things', 'GET'));
    expect(answer.status).toBe(400);
    expect(errorsOf(answer)).toMatchObject([{ pointer: '', code: 'unexpected_body' }]);
    expect(handled).toBe(0);
  });

  test('nothing and {} are no body', async () => {
    expect((await post('')).status).toBe(200);
    expect((await post('{}')).status).toBe(200);
    expect(handled).toBe(2);
  });
});

describe('Retry-After', () => {
  const secondsOf = async (error: PlatformError): Promise<number | undefined> => {
    refusal = error;
    const { status, text } = await get();
    expect(status).toBe(errorTable[error.code].status);
    const seconds = /^Retry-After: (\d+)\r$/im.exec(text)?.[1];
    return seconds === undefined ? undefined : Number(seconds);
  };
  const codes = (Object.keys(errorTable) as ErrorCode[]).filter(
    (code) => errorTable[code].status === 503,
  );

  test.each(codes)('is on %s exactly where the same call may succeed later', async (code) => {
    const seconds = await secondsOf(new PlatformError(code, 'not now'));
    if (errorTable[code].retryable) expect(seconds).toBeGreaterThanOrEqual(2);
    else expect(seconds).toBeUndefined();
  });

  test('is never before the time that the refusal names, and is spread', async () => {
    const more = { extensions: { retryAfterMs: 100_000 } };
    const seconds = new Set<number | undefined>();
    for (let at = 0; at < 20; at += 1)
      seconds.add(await secondsOf(new PlatformError('EMBEDDER_RATE_LIMITED', 'not now', more)));
    for (const each of seconds) {
      expect(each).toBeGreaterThanOrEqual(100);
      expect(each).toBeLessThanOrEqual(122);
    }
    expect(seconds.size).toBeGreaterThan(1);
  });
});

/** What this walk needs of a zod definition. */
interface Definition {
  type: string;
  shape?: Record<string, Schema>;
  catchall?: Schema;
  innerType?: Schema;
  element?: Schema;
  valueType?: Schema;
  left?: Schema;
  right?: Schema;
  in?: Schema;
  options?: Schema[];
  items?: Schema[];
  getter?: () => Schema;
}
interface Schema {
  def: Definition;
}

/** Pointers of the objects within a schema that take keys which they do not name. */
function openObjects(schema: Schema | undefined, path: string, seen = new Set<Schema>()): string[] {
  if (schema === undefined || seen.has(schema)) return [];
  seen.add(schema);
  const { def } = schema;
  const inner = [def.innerType, def.element, def.valueType, def.left, def.right, def.in];
  return [
    ...(def.type === 'object' && def.catchall?.def.type !== 'never' ? [path] : []),
    ...Object.entries(def.shape ?? {}).flatMap(([name, child]) =>
      openObjects(child, `${path}/${name}`, seen),
    ),
    ...[...inner, ...(def.options ?? []), ...(def.items ?? []), def.getter?.()].flatMap((child) =>
      openObjects(child, path, seen),
    ),
  ];
}

describe('every route of the registry', () => {
  const never = new Proxy({}, { get: () => never }) as Parameters<typeof allRoutes>[0];
  const routes = allRoutes(never);
  /** Each with its reason; an addition is a decision. */
  const open: Record<string, string> = {
    'dataset-contracts.create body':
      'parsed by its handler: CONTRACT_INVALID names the wrong fields',
    'versions.annotate body': 'another key than `annotations` is 409 VERSION_IMMUTABLE',
    'citations.verify body/citations': 'a citation is sent back as a query answered it',
  };

  test('refuses keys that its params, query, body and options do not name, at every depth', () => {
    const found = routes.flatMap(({ spec }: Route) =>
      Object.entries({
        params: spec.params,
        query: spec.query,
        body: spec.body,
        options: spec.upload?.fields,
      }).flatMap(([part, schema]) =>
        openObjects(schema as Schema | undefined, `${spec.operation} ${part}`),
      ),
    );
    expect(found.sort()).toEqual(Object.keys(open).sort());
  });

  test('declares the parameters of its path, and the schema of what it makes others wait for', () => {
    for (const { spec } of routes) {
      const named = [...spec.path.matchAll(/\{([^}]+)\}/g)].map(([, name]) => name);
      const declared = Object.keys((spec.params as Schema | undefined)?.def.shape ?? {});
      expect([spec.operation, declared.sort()]).toEqual([spec.operation, named.sort()]);
      if (spec.wait !== undefined)
        expect([spec.operation, spec.response.status]).toEqual([spec.operation, 202]);
    }
  });
});
