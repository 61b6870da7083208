import { leaseRate } from '../../src/activities/etl/lease-rate.js';
import { createEtlEmbeddings } from '../../src/adapters/postgres/etl-embeddings.js';
import { failureOf } from '../../src/domain/errors.js';
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
