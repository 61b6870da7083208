import { randomUUID } from 'node:crypto';
import { eventually } from '../support/eventually.js';
import { headersOf } from '../support/serve-routes.js';
import { sendDelivery, type Hook } from '../support/signed-delivery.js';
import { createEtlWorld, createSource, type EtlWorld } from './etl-world.js';

let world: EtlWorld;
beforeAll(async () => {
  world = await createEtlWorld();
}, 60_000);
afterAll(() => world.close());

const guide = '# Guide\n\nRotate the keys yearly.';

/** An upload source, and what a tenant puts into it. */
async function uploadSource() {
  const tenant = world.newTenant();
  const { sourceId } = await createSource(world, tenant, { kind: 'upload' });
  const put = (key: string, file: string | Uint8Array<ArrayBuffer>, idempotencyKey?: string) => {
    const who = { tenant, ...(idempotencyKey === undefined ? {} : { idempotencyKey }) };
    return world.upload(sourceId, who, { options: { key }, file });
  };
  const files = () => world.storedFiles(tenant);
  return { tenant, sourceId, put, files };
}

/** Erases a document of this tenant for good. */
async function suppress(tenant: string): Promise<void> {
  const [row] = await world.database.asSuperuser(
    `select doc_id::text as id from etl_document where tenant_id = $1`,
    [tenant],
  );
  const path = `/v1/documents/${String(row?.id)}?suppress=true`;
  expect(await world.send(`DELETE ${path}`, { tenant })).toMatchObject({ status: 202 });
}

const mark = (sourceId: string, state: string) =>
  world.database.asSuperuser(`update etl_source set state = $2 where source_id = $1`, [
    sourceId,
    state,
  ]);

test('another file under the same key is refused and leaves no byte, the same file again leaves one', async () => {
  const { put, files } = await uploadSource();
  const key = randomUUID();
  const first = await put('guide.md', guide, key);
  expect(first).toMatchObject({ status: 202, body: { recorded: 1 } });
  const [kept, ...more] = await files();
  expect(more).toEqual([]);
  expect(await put('guide.md', `${guide} And burn the old ones.`, key)).toMatchObject({
    status: 422,
    body: { code: 'IDEMPOTENCY_MISMATCH' },
  });
  expect(await files()).toEqual([kept]);
  expect(await put('guide.md', guide, key)).toEqual(first);
  expect(await files()).toEqual([kept]);
});

test('bytes that another document names stay, whatever becomes of a request that sends them again', async () => {
  const { put, files } = await uploadSource();
  const key = randomUUID();
  await put('a.md', guide);
  await put('b.md', 'other', key);
  const kept = await files();
  expect(kept).toHaveLength(2);
  expect(await put('b.md', guide, key)).toMatchObject({ status: 422 });
  expect((await files()).sort()).toEqual(kept.sort());
  expect(await put('c.md', guide)).toMatchObject({ status: 202, body: { recorded: 1 } });
  expect((await files()).sort()).toEqual(kept.sort());
});

test('an erased document, a file that is too large and a form with two files leave no byte', async () => {
  const { tenant, sourceId, put, files } = await uploadSource();
  await put('guide.md', guide);
  await suppress(tenant);
  const kept = await files();
  expect(await put('guide.md', 'back again')).toMatchObject({
    status: 409,
    body: { code: 'DOCUMENT_SUPPRESSED' },
  });
  expect((await put('large.txt', new Uint8Array(64 * 1024 * 1024 + 1))).status).toBe(413);
  const body = new FormData();
  body.append('options', JSON.stringify({ key: 'two.md' }));
  for (const text of ['one', 'two']) body.append('file', new Blob([text]), 'file');
  const url = `${world.url}/v1/sources/${sourceId}/documents`;
  const two = await fetch(url, { method: 'PUT', headers: headersOf({ tenant }), body });
  expect(two.status).toBe(400);
  await eventually(async () => expect(await files()).toEqual(kept));
});

test('a source that goes while its document streams in leaves no byte of it', async () => {
  const { tenant, sourceId, files } = await uploadSource();
  const part = (name: string, more = '') =>
    `--x\r\ncontent-disposition: form-data; name="${name}"${more}\r\n\r\n`;
  const body = new ReadableStream({
    async start(stream) {
      const send = (text: string) => stream.enqueue(new TextEncoder().encode(text));
      send(`${part('options')}{"key":"a.md"}\r\n${part('file', '; filename="a.md"')}# Keys`);
      await eventually(async () => expect(await files()).toHaveLength(1));
      await mark(sourceId, 'DELETING');
      send('\r\n--x--\r\n');
      stream.close();
    },
  });
  const url = `${world.url}/v1/sources/${sourceId}/documents`;
  const headers = { ...headersOf({ tenant }), 'content-type': 'multipart/form-data; boundary=x' };
  const answer = await fetch(url, { method: 'PUT', headers, body, duplex: 'half' });
  expect([answer.status, await answer.json()]).toMatchObject([404, { code: 'NOT_FOUND' }]);
  expect(await files()).toEqual([]);
});

test('a signed delivery that is refused leaves no byte, one that comes twice leaves one', async () => {
  const tenant = world.newTenant();
  const { source } = await createSource(world, tenant, { kind: 'webhook' });
  const deliver = (id: string, content: string) =>
    sendDelivery(world.url, source.hook as Hook, {
      id,
      body: JSON.stringify({ key: 'faq.md', content }),
    });
  const files = () => world.storedFiles(tenant);
  const first = await deliver('dlv_1', guide);
  expect(first).toMatchObject({ status: 202, body: { recorded: 1 } });
  const kept = await files();
  expect(kept).toHaveLength(1);
  expect(await deliver('dlv_1', guide)).toEqual(first);
  expect(await deliver('dlv_1', 'another text')).toMatchObject({
    status: 422,
    body: { code: 'IDEMPOTENCY_MISMATCH' },
  });
  expect(await files()).toEqual(kept);
  await suppress(tenant);
  expect(await deliver('dlv_2', 'back again')).toMatchObject({
    status: 409,
    body: { code: 'DOCUMENT_SUPPRESSED' },
  });
  expect(await files()).toEqual(kept);
});
