import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createEgress, type Egress } from '../../src/adapters/egress/create-egress.js';
import { loadConfig } from '../../src/config.js';
import { MAX_DOCUMENT_BYTES } from '../../src/domain/etl/document-requests.js';
import { createOpenUrl, createOutbound } from '../../src/main/outbound.js';
import { sendDelivery, type Hook } from '../support/signed-delivery.js';
import { createEtlWorld, createSource, type EtlWorld } from './etl-world.js';

const MIB = 1024 * 1024;

let world: EtlWorld;
let server: Server;
let egress: Egress;
let files: string;
beforeAll(async () => {
  // `/<bytes>` answers as many bytes, with or without saying so first; `/gone` is an error page.
  server = createServer((request, response) => {
    const url = new URL(request.url ?? '', 'http://files');
    response.statusCode = url.pathname === '/gone' ? 404 : 200;
    response.setHeader('content-type', 'text/markdown');
    let left = Number(url.pathname.slice(1)) || 20;
    if (url.searchParams.has('said')) response.setHeader('content-length', left);
    const block = Buffer.alloc(MIB, 'a');
    const send = (): void => {
      while (left > 0) {
        const part = block.subarray(0, Math.min(left, block.length));
        left -= part.length;
        if (!response.write(part)) return void response.once('drain', send);
      }
      response.end();
    };
    send();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  files = `http://127.0.0.1:${port}`;
  egress = createEgress({
    connections: [{ scheme: 'http', host: '127.0.0.1', port, allowLoopback: true }],
    limits: { maxBytes: MAX_DOCUMENT_BYTES },
  });
  world = await createEtlWorld({ openUrl: createOpenUrl(egress) });
}, 60_000);
afterAll(async () => {
  await world.close();
  await egress.close();
  server.closeAllConnections();
  server.close();
});

let deliveries = 0;

/** A webhook source and what signs and sends to it. */
async function createHook() {
  const tenant = world.newTenant();
  const { source, sourceId } = await createSource(world, tenant, { kind: 'webhook' });
  const deliver = (message: object) =>
    sendDelivery(world.url, source.hook as Hook, {
      id: `dlv_${++deliveries}`,
      body: JSON.stringify(message),
    });
  const changes = () =>
    world.database.asSuperuser(
      `select kind, state, seq::int, bytes from etl_change_event where source_id = '${sourceId}' order by change_id`,
    );
  return { tenant, sourceId, deliver, changes };
}

const recorded = { status: 202, body: { recorded: 1 } };

test('a document behind an address may have 64 MiB, and one byte more is 413, said before or not', async () => {
  const { deliver, changes } = await createHook();
  const of = (path: string) => deliver({ key: path, url: `${files}${path}` });
  expect(await of(`/${MAX_DOCUMENT_BYTES}`)).toMatchObject(recorded);
  const refused = { status: 413, body: { code: 'PAYLOAD_TOO_LARGE' } };
  expect(await of(`/${MAX_DOCUMENT_BYTES + 1}`)).toMatchObject(refused);
  expect(await of(`/${MAX_DOCUMENT_BYTES + 1}?said`)).toMatchObject(refused);
  expect(await changes()).toMatchObject([{ kind: 'upsert', bytes: MAX_DOCUMENT_BYTES }]);
});

test('an error page is no document, and an address that nobody allowed is not asked', async () => {
  const { deliver, changes } = await createHook();
  expect(await deliver({ key: 'a.md', url: `${files}/gone` })).toMatchObject({
    status: 502,
    body: { code: 'EGRESS_FAILED' },
  });
  expect(await deliver({ key: 'a.md', url: 'http://127.0.0.1:9/a.md' })).toMatchObject({
    status: 422,
    body: { code: 'EGRESS_REFUSED' },
  });
  expect(await changes()).toEqual([]);
});

test('what comes late by its number is superseded, whatever order it arrives in', async () => {
  const { deliver, changes } = await createHook();
  const content = '# Keys\n\nRotate them.';
  expect(await deliver({ key: 'a.md', content, seq: 7 })).toMatchObject(recorded);
  expect(await deliver({ key: 'a.md', content, seq: '5' })).toMatchObject({ status: 202 });
  expect(await deliver({ key: 'a.md', content, seq: 9 })).toMatchObject(recorded);
  expect(await changes()).toMatchObject([
    { seq: 7, state: 'PENDING' },
    { seq: 5, state: 'SUPERSEDED' },
    { seq: 9, state: 'PENDING' },
  ]);
});

test('a deletion hides its document in the answer, a narrower access list holds from then on', async () => {
  const { tenant, sourceId, deliver, changes } = await createHook();
  const content = '# Keys\n\nRotate them.';
  const acl = ['group:staff', 'group:guests'];
  for (const key of ['a.md', 'b.md']) await deliver({ key, content, acl });
  await world.database.asSuperuser(
    `update etl_document set live_rev = 1, acl = '{group:staff,group:guests}' where source_id = '${sourceId}'`,
  );
  expect(await deliver({ key: 'a.md', deleted: true })).toMatchObject(recorded);
  expect(await deliver({ key: 'b.md', acl: ['group:staff'] })).toMatchObject(recorded);
  const listed = await world.send(`GET /v1/documents?sourceId=${sourceId}`, { tenant });
  const items = listed.body.items as { id: string; key: string; state: string }[];
  const [a, b] = items.sort((one, other) => (one.key < other.key ? -1 : 1));
  expect(a?.state).not.toBe('INDEXED');
  const narrowed = await world.send(`GET /v1/documents/${b?.id ?? ''}`, { tenant });
  expect(narrowed.body.acl).toEqual(['group:staff']);
  expect((await changes()).map(({ kind }) => kind)).toEqual(['upsert', 'upsert', 'delete', 'acl']);
});

test('addresses in messages do not lead to the embedding service for being that', async () => {
  const outbound = createOutbound(
    loadConfig({
      ANNEAL_EMBEDDING_URL: `${files}/v1`,
      ANNEAL_EMBEDDING_MODEL: 'small',
      ANNEAL_EMBEDDING_DIMS: '2',
    }),
  );
  try {
    const refused = expect.objectContaining({ code: 'EGRESS_REFUSED' }) as Error;
    await expect(outbound.documents.fetch(`${files}/20`)).rejects.toEqual(refused);
    expect(await outbound.embedding.fetch(`${files}/20`)).toMatchObject({ status: 200 });
  } finally {
    await outbound.close();
  }
});
