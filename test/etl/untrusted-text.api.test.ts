import { randomUUID } from 'node:crypto';
import { allRefused, readForged } from '../support/forge-cursor.js';
import { answerOf, headersOf, type Answer } from '../support/serve-routes.js';
import { createEtlWorld, createSource, type EtlWorld } from './etl-world.js';

let world: EtlWorld;
let tenant: string;
let sourceId: string;
let collectionId: string;
beforeAll(async () => {
  world = await createEtlWorld();
  tenant = world.newTenant();
  ({ sourceId, collectionId } = await createSource(world, tenant, { kind: 'upload' }));
}, 60_000);
afterAll(() => world.close());

/** Sends a form of these very bytes: the field `options`, then a file. */
async function put(options: string | Uint8Array, heads: string[] = []): Promise<Answer> {
  const part = (lines: string[]) => ['--edge', ...lines, '', ''].join('\r\n');
  const body = Buffer.concat([
    Buffer.from(part(['content-disposition: form-data; name="options"', ...heads])),
    Buffer.from(options),
    Buffer.from('\r\n'),
    Buffer.from(part(['content-disposition: form-data; name="file"; filename="a.md"'])),
    Buffer.from('# Guide\r\n--edge--\r\n'),
  ]);
  const type = { 'content-type': 'multipart/form-data; boundary=edge' };
  const headers = { ...headersOf({ tenant }), ...type };
  const path = `${world.url}/v1/sources/${sourceId}/documents`;
  return answerOf(await fetch(path, { method: 'PUT', headers, body }));
}

/** Status, and pointer and code of every fault. */
const factsOf = ({ status, body }: Answer): unknown[] => [
  status,
  ...((body.errors ?? []) as { pointer: string; code: string }[]).map(
    ({ pointer, code }) => `${pointer} ${code}`,
  ),
];
const withKey = (key: string, more = ''): string => `{"key":${JSON.stringify(key)}${more}}`;
const meta = (json: string): string => withKey('guide.md', `,"metadata":{"a":${json}}`);
const nested = (depth: number): string => meta('['.repeat(depth) + ']'.repeat(depth));

describe('options of an upload', () => {
  test('of the same shapes without what is refused below are taken', async () => {
    const taken = [
      meta('[{"__proto":1,"constructed":{}}]'),
      nested(30),
      meta('"\\ud83d\\ude00 \\ufffd"'),
      withKey('Öffnung.md'),
    ];
    for (const options of taken) expect(factsOf(await put(options))).toEqual([202]);
  });

  test.each([
    ['__proto__', meta('{"__proto__":{"x":1}}'), '/options/metadata/a/__proto__ forbidden_key'],
    ['constructor', meta('{"constructor":1}'), '/options/metadata/a/constructor forbidden_key'],
    ['prototype', meta('[{"prototype":1}]'), '/options/metadata/a/0/prototype forbidden_key'],
    ['a key that is no text', meta('{"\\u0000":1}'), '/options/metadata/a invalid_text'],
    ['a NUL', meta('"\\u0000"'), '/options/metadata/a invalid_text'],
    ['half a character', meta('"\\ud800"'), '/options/metadata/a invalid_text'],
    ['no JSON', '{"key"', '/options invalid_json'],
  ])('with %s are refused by pointer, and no prototype has changed', async (_, options, fault) => {
    expect(factsOf(await put(options))).toEqual([400, fault]);
    expect(({} as { x?: unknown }).x).toBeUndefined();
  });

  test('nested deeper than 32 are refused, as a body is', async () => {
    const [status, fault] = factsOf(await put(nested(31)));
    expect([status, String(fault).endsWith('too_deep')]).toEqual([400, true]);
    expect((await put(nested(50_000))).status).toBe(400);
  });

  test('of bytes that are no UTF-8 are refused, and the same text in UTF-8 is taken', async () => {
    const text = withKey('café.md');
    expect(factsOf(await put(Buffer.from(text, 'latin1')))).toEqual([400, '/options invalid_form']);
    expect(factsOf(await put(Buffer.from(text, 'utf8')))).toEqual([202]);
  });

  test.each([
    ['text/plain; charset=iso-8859-1', 415],
    ['application/json; charset="UTF-16LE"', 415],
    ['application/json; x=y;\r\n charset=windows-1252', 415],
    ['application/json; charset=shift_jis', 415],
    ['application/json', 202],
    ['application/json; charset=UTF-8', 202],
    ['text/plain;charset="utf-8"', 202],
  ])('that say to be %s are answered with %i', async (type, status) => {
    const answer = await put(withKey('plain.md'), [`content-type: ${type}`]);
    expect(answer).toMatchObject(
      status === 415 ? { status, body: { code: 'UNSUPPORTED_MEDIA_TYPE' } } : { status },
    );
  });
});

describe('the name of a document', () => {
  test.each([
    ['another form than NFC', 'cafe\u0301.md', 400],
    ['the same letters in NFC', 'caf\u00e9.md', 202],
    ['a bidi override', 'invoice\u202efdp.md', 400],
    ['a bidi isolate', 'a\u2066b.md', 400],
    ['an invisible character', 'gui\u200bde.md', 400],
    ['a line separator', 'a\u2028b.md', 400],
    ['letters that are written from right to left', 'תקנון.md', 202],
    ['spaces and an emoji', 'our guide 😀.md', 202],
  ])('with %s', async (_, key, status) => {
    expect(factsOf(await put(withKey(key)))).toEqual(
      status === 202 ? [202] : [400, '/options/key custom'],
    );
  });

  test('of a group that it is for is held to the same', async () => {
    const acl = (name: string) => withKey('acl.md', `,"acl":["group:${name}"]`);
    expect(factsOf(await put(acl('cafe\u0301')))).toEqual([400, '/options/acl/0 custom']);
    expect(factsOf(await put(acl('caf\u00e9')))).toEqual([202]);
  });
});

describe('a query', () => {
  test.each([
    ['?name=%63af%C3%A9', '/query/name invalid_format'],
    ['?name=caf%E9', '/query invalid_text'],
    ['?caf%E9=1', '/query invalid_text'],
    ['?name=a%2', '/query invalid_text'],
    ['?name=%ED%A0%80', '/query invalid_text'],
  ])('%s is read as UTF-8 or refused', async (query, fault) => {
    const answer = await world.send(`GET /v1/collections${query}`, { tenant });
    expect(factsOf(answer)).toEqual([400, fault]);
  });

  test('of plain text is answered, with an escape and without', async () => {
    for (const query of ['?name=a', '?name=%61', ''])
      expect((await world.send(`GET /v1/collections${query}`, { tenant })).status).toBe(200);
  });
});

describe('a cursor with another key behind a genuine fingerprint is refused', () => {
  test('by documents, collections and sources', async () => {
    for (const key of ['x.md', 'y.md']) await put(withKey(key));
    await createSource(world, tenant, { kind: 'upload' });
    const body = { collectionId, name: 'more', kind: 'upload', acl: ['public'] };
    await world.send('POST /v1/sources', { tenant, body });
    const notOne = ['src', randomUUID().slice(1), "' or 1=1 --"];
    for (const list of ['documents', 'collections', 'sources']) {
      const read = (cursor = '') =>
        world.send(`GET /v1/${list}?limit=1${cursor && `&cursor=${cursor}`}`, { tenant });
      expect([list, await readForged(read, notOne)]).toEqual([list, allRefused(notOne)]);
    }
  });
});
