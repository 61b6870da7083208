import { randomUUID } from 'node:crypto';
import { startTcpProxy, type TcpProxy } from '../chaos/tcp-proxy.js';
import type { ApiAnswer, TestCaller, TestServices } from '../support/api.js';
import { eventually } from '../support/eventually.js';
import { startRelay } from '../support/relay.js';
import { sendDelivery, type Hook } from '../support/signed-delivery.js';
import { LoadedCollection, startInstallation, type Installation } from './reembed-load.js';

// A whole installation whose API reaches Postgres and Temporal through links that are cut (etl.md §14).

let postgres: TcpProxy;
let temporal: TcpProxy;
let installation: Installation;
let relay: ReturnType<typeof startRelay>;

async function proxied({ databaseUrl, temporalAddress }: TestServices): Promise<TestServices> {
  const url = new URL(databaseUrl);
  postgres = await startTcpProxy({ host: url.hostname, port: Number(url.port) });
  const [host = '', port] = temporalAddress.split(':');
  temporal = await startTcpProxy({ host, port: Number(port) });
  url.hostname = '127.0.0.1';
  url.port = String(postgres.port);
  return { databaseUrl: url.toString(), temporalAddress: `127.0.0.1:${temporal.port}` };
}

beforeAll(async () => {
  installation = await startInstallation(proxied);
  const { api } = installation;
  // The relay reaches Postgres itself, and Temporal by the link of the API.
  relay = startRelay(api.database, api.parts.starter);
}, 120_000);

afterAll(async () => {
  await relay.stop();
  await installation.stop();
  await postgres.close();
  await temporal.close();
});

/** The link is gone, with every connection over it. */
function cut(link: TcpProxy): void {
  link.set({ refuse: true });
  link.reset();
}
const mend = (link: TcpProxy): void => link.set({});

interface Loaded {
  collection: LoadedCollection;
  steward: TestCaller;
}

async function loaded(): Promise<Loaded> {
  const { api } = installation;
  const tenant = `t-${randomUUID().slice(0, 8)}`;
  await api.createTenant(tenant);
  const steward = await api.createCaller(tenant, ['data-steward']);
  const collection = new LoadedCollection(api, { tenant, key: steward.key });
  await collection.create();
  return { collection, steward };
}

const call = ({ steward }: Loaded, operation: string, body?: unknown): Promise<ApiAnswer> =>
  installation.api.call(steward.key, operation, body);
const ask = (of: Loaded, text: string): Promise<ApiAnswer> =>
  call(of, `POST /v1/collections/${of.collection.collectionId}:query`, {
    ...{ text, k: 50, purpose: 'support' },
  });
const hitsOf = ({ body }: ApiAnswer): { text: string; citation: object }[] =>
  body.hits as { text: string; citation: object }[];

const isUnavailable = ({ status, headers, body }: ApiAnswer): void => {
  expect([status, body.code]).toEqual([503, 'STORE_UNAVAILABLE']);
  expect(headers.get('content-type')).toContain('application/problem+json');
  expect(Number(headers.get('retry-after'))).toBeGreaterThan(0);
  expect(body).not.toHaveProperty('hits');
};

const plain = (citation: object) => {
  const { documentId, revision, start, end, textSha256 } = citation as Record<string, unknown>;
  return { documentId, revision, start, end, textSha256 };
};

describe('Postgres down', () => {
  let world: Loaded;
  beforeAll(async () => {
    world = await loaded();
    await world.collection.applied(await world.collection.put(1));
    const { collectionId, sourceId } = world.collection;
    // In the store and in the words of every question below, but not for this reader.
    const form = new FormData();
    form.append('options', JSON.stringify({ key: 'board.txt', acl: ['group:board'] }));
    form.append(
      'file',
      new Blob(['The board alone reads of page1, edition0 and chapter page1.']),
      'b.txt',
    );
    const url = `${installation.api.url}/v1/sources/${sourceId}/documents`;
    const authorization = `Bearer ${world.steward.key}`;
    const put = await fetch(url, {
      ...{ method: 'PUT', body: form },
      headers: { authorization, 'idempotency-key': randomUUID() },
    });
    const { changeToken } = (await put.json()) as { changeToken: string };
    await world.collection.applied(changeToken);
    const indexed = await installation.api.database.asSuperuser(
      `select 1 from etl_document where collection_id = $1 and live_rev is not null`,
      [collectionId],
    );
    expect(indexed).toHaveLength(2);
  }, 120_000);
  afterEach(() => mend(postgres));

  const readable = async (): Promise<void> => {
    const answer = await ask(world, 'page1');
    expect([answer.status, hitsOf(answer).map(({ text }) => text.includes('page1'))]).toEqual([
      ...[200, [true]],
    ]);
    expect(JSON.stringify(answer.body)).not.toContain('board');
  };

  it('answers queries and citations 503, holds no text back unfiltered, and answers again on return', async () => {
    await readable();
    const before = hitsOf(await ask(world, 'page1'));
    cut(postgres);
    isUnavailable(await ask(world, 'page1'));
    const citations = before.map(({ citation }) => citation);
    const cited = { purpose: 'support', citations: citations.map(plain) };
    isUnavailable(await call(world, 'POST /v1/citations:verify', cited));
    isUnavailable(await call(world, `GET /v1/collections/${world.collection.collectionId}`));
    mend(postgres);
    await eventually(readable, { timeoutMs: 20_000 });
    const verified = await call(world, 'POST /v1/citations:verify', cited);
    expect(verified.body.verdicts).toMatchObject([{ verdict: 'VALID' }]);
  });

  it.each(['etl_searched', 'etl_read_filter', 'etl_read_spans'])(
    'answers 503 where the ledger goes while it is asked (%s), though the store has answered',
    async (step) => {
      await readable();
      const wasCut = postgres.cutAfterRequest(step);
      isUnavailable(await ask(world, 'page1'));
      await wasCut;
      await eventually(readable, { timeoutMs: 20_000 });
    },
  );

  it('takes no document that it cannot record, and the same request again is taken once', async () => {
    const changes = async (): Promise<number> => {
      const rows = `select 1 from etl_change_event where tenant_id = $1`;
      return (await installation.api.database.asSuperuser(rows, [world.collection.tenant])).length;
    };
    const before = await changes();
    cut(postgres);
    const options = { key: 'late.txt' };
    const send = async (key: string) => {
      const form = new FormData();
      form.append('options', JSON.stringify(options));
      form.append(
        'file',
        new Blob(['A document that came while the ledger was away.']),
        'late.txt',
      );
      const url = `${installation.api.url}/v1/sources/${world.collection.sourceId}/documents`;
      const headers = { authorization: `Bearer ${world.steward.key}`, 'idempotency-key': key };
      const response = await fetch(url, { method: 'PUT', headers, body: form });
      return { status: response.status, body: (await response.json()) as ApiAnswer['body'] };
    };
    const key = randomUUID();
    expect(await send(key)).toMatchObject({ status: 503, body: { code: 'STORE_UNAVAILABLE' } });
    mend(postgres);
    await eventually(async () => expect((await send(key)).status).toBe(202), { timeoutMs: 20_000 });
    expect(await send(key)).toMatchObject({ status: 202 });
    expect(await changes()).toBe(before + 1);
  });
});

describe('Temporal down', () => {
  afterEach(() => mend(temporal));

  it('takes uploads, deliveries and deletions, hides at once, and does the rest when it is back', async () => {
    const world = await loaded();
    const { collection } = world;
    const { api } = installation;
    await collection.applied(await collection.put(1));
    await collection.applied(await collection.put(2));
    await collection.learn();
    const { collectionId, tenant } = collection;
    const body = { collectionId, name: 'pushed', kind: 'webhook', acl: ['group:data-steward'] };
    const source = (await call(world, 'POST /v1/sources', body)).body;
    const wakes = () =>
      api.database.asSuperuser(
        `select workflow_id from wake where tenant_id = $1 and delivered_at is null`,
        [tenant],
      );
    await eventually(async () => expect(await wakes()).toEqual([]), { timeoutMs: 20_000 });
    // A wake that came late would have what follows looked for, past the link that is cut.
    await collection.rested();

    cut(temporal);
    const uploaded = await collection.put(3);
    const delivered = await sendDelivery(api.url, source.hook as Hook, {
      id: `dlv_${randomUUID()}`,
      body: JSON.stringify({ key: 'pushed.md', content: 'What page9 says came by a hook.' }),
    });
    expect(delivered.status).toBe(202);
    const changeToken = String(delivered.body.changeToken);
    const documentId = collection.documents.get(1) ?? '';
    expect((await call(world, `DELETE /v1/documents/${documentId}`)).status).toBe(202);
    // Hidden by the transaction that took the deletion; the rest is served as before.
    const found = hitsOf(await ask(world, 'page1 page2')).map(({ text: hit }) => hit);
    expect(found.map((hit) => hit.includes('page2'))).toEqual([true]);
    // What was taken waits: nothing could be told of it.
    expect((await wakes()).length).toBeGreaterThanOrEqual(1);
    for (const after of [uploaded, changeToken]) {
      const asked = { text: 'page3', purpose: 'support', after };
      expect(await call(world, `POST /v1/collections/${collectionId}:query`, asked)).toMatchObject({
        status: 409,
        body: { code: 'NOT_YET_INDEXED' },
      });
    }
    const standing = await call(world, `GET /v1/sources/${collection.sourceId}`);
    expect(standing.body).toMatchObject({ backlog: { pending: 2 } });

    mend(temporal);
    await collection.applied(uploaded);
    await collection.applied(changeToken);
    await eventually(async () => expect(await wakes()).toEqual([]), { timeoutMs: 20_000 });
    const rest = hitsOf(await ask(world, 'page1 page2 page3 page9')).map(({ text: hit }) => hit);
    expect(rest.filter((hit) => /page[239] /.test(hit))).toHaveLength(3);
    expect(rest.some((hit) => hit.includes('page1 '))).toBe(false);
    await eventually(
      async () =>
        expect(
          await api.database.asSuperuser(
            `select 1 from etl_change_event where tenant_id = $1 and state in ('PENDING', 'CLAIMED')`,
            [tenant],
          ),
        ).toEqual([]),
      { timeoutMs: 20_000 },
    );
  }, 120_000);
});
