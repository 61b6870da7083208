import { embedTexts } from '../../src/activities/etl/embed-texts.js';
import { leaseRate } from '../../src/activities/etl/lease-rate.js';
import { createEtlEmbeddings } from '../../src/adapters/postgres/etl-embeddings.js';
import { failureOf } from '../../src/domain/errors.js';
import { ConfigError, loadConfig } from '../../src/config.js';
import { createEmbedders, embedderOffers } from '../../src/main/embedders.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.close());

const { signal } = new AbortController();
const lease = (tokens: number, rate?: { perSecond: number; burst: number }, embedFp = 'fp') =>
  leaseRate(
    { embeddings: createEtlEmbeddings({ db: database.worker }) },
    { tenant: 'rate', embedder: { embedFp, rate }, signal },
    tokens,
  );

test('workers together never get more than the rate, in slices of a second', async () => {
  const rate = { perSecond: 1_000, burst: 500 };
  const since = performance.now();
  await Promise.all([lease(400, rate), lease(400, rate), lease(400, rate)]);
  const seconds = (performance.now() - since) / 1_000;
  // 1,200 tokens of which 500 were there: the others take 0.7 s.
  expect(seconds).toBeGreaterThanOrEqual(0.69);
  const [row] = await database.asSuperuser(
    `select tokens >= 0 as kept from etl_rate_bucket where tenant_id = 'rate' and embed_fp = 'fp'`,
  );
  expect(row?.kept).toBe(true);
});

test('a bucket that is empty for long gives the place to others, with the time to come again', async () => {
  const rate = { perSecond: 0.01, burst: 1 };
  await expect(lease(3, rate, 'slow')).rejects.toMatchObject({
    code: 'EMBEDDER_RATE_LIMITED',
    extensions: { retryAfterMs: expect.any(Number) as number },
  });
});

test('the API takes from the bucket of the workers, and waits no longer than it says', async () => {
  const rate = { perSecond: 100, burst: 100 };
  await lease(90, rate, 'shared');
  const asApi = (tokens: number, deadlineMs: number) =>
    leaseRate(
      { embeddings: createEtlEmbeddings({ db: database.api }) },
      { tenant: 'rate', embedder: { embedFp: 'shared', rate }, signal, deadlineMs },
      tokens,
    );
  const since = performance.now();
  await expect(asApi(500, 1_000)).rejects.toMatchObject({ code: 'EMBEDDER_RATE_LIMITED' });
  expect(performance.now() - since).toBeLessThan(1_900);
  await asApi(20, 1_000);
});

test('an embedder without a rate asks nobody', async () => {
  await lease(1e9);
  expect(await database.asSuperuser(`select 1 from etl_rate_bucket where tokens > 1000`)).toEqual(
    [],
  );
});

test('the pause that a provider asked for is when the next try begins; a final refusal has none', () => {
  const details = [{ retryAfterMs: 1_500.2 }];
  expect(failureOf('EMBEDDER_RATE_LIMITED', 'slow down', details).nextRetryDelay).toBe(1_501);
  expect(failureOf('EMBEDDER_RATE_LIMITED', 'slow down').nextRetryDelay).toBeUndefined();
  expect(failureOf('EMBEDDER_MISCONFIGURED', 'no key', details).nextRetryDelay).toBeUndefined();
});

const service = {
  ANNEAL_EMBEDDING_URL: 'https://embeddings.example/v1',
  ANNEAL_EMBEDDING_MODEL: 'small',
  ANNEAL_EMBEDDING_DIMS: '2',
};

/** The service as it is configured, answering at once, and what was sent to it. */
async function configured(env: Record<string, string>) {
  const sent: number[] = [];
  const bodies: Record<string, unknown>[] = [];
  const vector = Buffer.from(new Float32Array([0.6, 0.8]).buffer).toString('base64');
  const fetch = async (_url: string, { body }: { body?: unknown }) => {
    const { input } = JSON.parse(String(body)) as { input: string[] };
    sent.push(input.length);
    bodies.push(JSON.parse(String(body)) as Record<string, unknown>);
    const data = input.map((_, index) => ({ index, embedding: vector }));
    return { status: 200, headers: {}, body: Buffer.from(JSON.stringify({ data })) };
  };
  const egress = { fetch } as unknown as Parameters<typeof createEmbedders>[1];
  const config = loadConfig({ ...service, ...env });
  const offer = embedderOffers({ config }, egress)('openai');
  if (offer === undefined) throw new Error('the service is not offered');
  const parts = { config } as Parameters<typeof createEmbedders>[0];
  const generation = {
    ...{ ...offer, generationId: 'gen_x', collectionId: 'col_x', sink: 'lancedb' },
    ...{ state: 'LIVE' as const, drifted: false },
  };
  const embedders = createEmbedders(parts, egress);
  return { embedder: await embedders.embedderOf('rate', generation), sent, bodies, generation };
}

test('the rate of the configured service is what its bucket gives, to all workers together', async () => {
  const { embedder, sent } = await configured({
    ANNEAL_EMBEDDING_TOKENS_PER_SECOND: '400',
    ANNEAL_EMBEDDING_BURST_TOKENS: '200',
  });
  expect(embedder.rate).toEqual({ perSecond: 400, burst: 200 });
  const deps = {
    embeddings: createEtlEmbeddings({ db: database.worker }),
    failpoint: async () => undefined,
  };
  const work = (name: string) =>
    embedTexts(deps, { tenant: 'rate', embedder, signal, note: () => undefined }, [
      { textHash: name, text: name.repeat(500) },
    ]);
  const since = performance.now();
  await Promise.all([work('a'), work('b')]);
  // 500 tokens of which 200 were there: the others take 0.75 s.
  expect(performance.now() - since).toBeGreaterThanOrEqual(740);
  expect(sent).toEqual([1, 1]);
});

test('a rate may be named alone, or not at all; a burst without a rate is refused', async () => {
  const { embedder } = await configured({ ANNEAL_EMBEDDING_TOKENS_PER_SECOND: '400' });
  expect(embedder.rate).toEqual({ perSecond: 400, burst: 400 });
  expect((await configured({})).embedder.rate).toBeUndefined();
  await expect(configured({ ANNEAL_EMBEDDING_BURST_TOKENS: '5' })).rejects.toThrow(ConfigError);
});

test('a new revision or prefix of the model is another embedder, so no vector of the old one is taken', async () => {
  const plain = await configured({});
  const next = await configured({ ANNEAL_EMBEDDING_REVISION: '2026-11' });
  const prefixed = await configured({ ANNEAL_EMBEDDING_QUERY_PREFIX: 'query: ' });
  const fps = [plain, next, prefixed].map(({ embedder }) => embedder.embedFp);
  expect(new Set(fps).size).toBe(3);
  expect(next.generation.embedSpec).toMatchObject({ revision: '2026-11' });
});

test('prefixes go before texts by kind, dimensions with the request where they are asked for', async () => {
  const { embedder, bodies } = await configured({
    ANNEAL_EMBEDDING_QUERY_PREFIX: 'query: ',
    ANNEAL_EMBEDDING_DOCUMENT_PREFIX: 'passage: ',
    ANNEAL_EMBEDDING_SEND_DIMS: 'on',
  });
  await embedder.embed(['a key'], 'query', signal);
  await embedder.embed(['a key'], 'document', signal);
  expect(bodies.map(({ input, dimensions }) => [input, dimensions])).toEqual([
    [['query: a key'], 2],
    [['passage: a key'], 2],
  ]);
  const plain = await configured({});
  await plain.embedder.embed(['a key'], 'query', signal);
  expect(plain.bodies[0]).not.toHaveProperty('dimensions');
});

test('what was paid for under the old revision is paid for again under the new one, each once', async () => {
  const deps = {
    embeddings: createEtlEmbeddings({ db: database.worker }),
    failpoint: async () => undefined,
  };
  const task = { textHash: 'drifted', text: 'a key is rotated' };
  const paid = async (revision: string) => {
    const { embedder, sent } = await configured({ ANNEAL_EMBEDDING_REVISION: revision });
    const of = { tenant: 'revisions', embedder, signal, note: () => undefined };
    await embedTexts(deps, of, [task]);
    await embedTexts(deps, of, [task]);
    return sent;
  };
  expect(await paid('before')).toEqual([1]);
  expect(await paid('after')).toEqual([1]);
});
