import {
  createEtlEmbeddings,
  createEtlShards,
} from '../../src/adapters/postgres/etl-embeddings.js';
import { createEtlGenerations } from '../../src/adapters/postgres/etl-generations.js';
import { createRetrievalStore } from '../../src/adapters/postgres/retrieval.js';
import { building, callerOf, collectionId, LedgerWorld, live, only, push } from './ledger-world.js';

let world: LedgerWorld;
let tenants = 0;
beforeAll(async () => {
  world = await LedgerWorld.create();
});
afterAll(() => world.close());

async function tenant(): Promise<string> {
  const id = `shared-${++tenants}`;
  await world.seed(id);
  return id;
}

test('a foreign tenant sees nothing and claims nothing', async () => {
  const [ours, theirs] = [await tenant(), await tenant()];
  await world.record(ours, push('a', 1, 'one'));
  await world.drain(ours);
  const hits = await world.read(ours);
  const { rowId, docId } = only(hits);
  const query = { generationId: live, rowIds: [rowId], docIds: [docId], purpose: 'support' };
  const principals = ['group:staff'];
  expect(await world.reads.readFilter(theirs, { ...query, principals })).toEqual([]);
  await world.record(ours, push('a', 2, 'two'));
  expect((await world.claim(theirs)).documents).toEqual([]);
  await world.database.asSuperuser(
    `update etl_change_event set received_at = now() - interval '1 minute' where tenant_id = $1`,
    [ours],
  );
  const { findSearched } = createRetrievalStore(world.database.worker);
  const behind = async (of: string) =>
    (await findSearched(of, collectionId)).behind.oldestUnappliedMs;
  expect(await behind(theirs)).toBe(0);
  expect(await behind(ours)).toBeGreaterThanOrEqual(60_000);
  await world.claim(ours);
  expect(await behind(ours)).toBeGreaterThanOrEqual(60_000);
  expect(await world.database.worker.batch(theirs, (q) => q('select * from etl_document'))).toEqual(
    [],
  );
});

test('[W5] a flip waits for every document, moves by the epoch and leaves the old generation held', async () => {
  const t = await tenant();
  const { flipGeneration, dropGeneration, laggingDocuments } = createEtlGenerations({
    db: world.database.worker,
  });
  await world.record(t, push('a', 1, 'one'));
  await world.drain(t);
  await world.addGeneration(t, building, 'BUILDING');
  const flip = { collectionId, generationId: building, epoch: 0, holdMs: 1_000 };
  expect(await laggingDocuments(t, building)).toBe(1);
  const caller = callerOf(t);
  await expect(flipGeneration(caller, flip)).rejects.toMatchObject({ code: 'GENERATION_BUILDING' });
  await world.ledger.claimLagging({
    tenant: t,
    generationId: building,
    batchId: 'bat_f',
    maxDocuments: 9,
  });
  const writes = await world.ledger.openWrites(t, 'bat_f');
  world.apply(t, writes);
  await world.commit(t, { batchId: 'bat_f' }, writes);
  expect(await flipGeneration(caller, flip)).toEqual({ epoch: 1 });
  await expect(flipGeneration(caller, flip)).rejects.toMatchObject({ code: 'STALE_EPOCH' });
  expect(await world.texts(t, { generationId: building })).toEqual(['one']);
  await expect(dropGeneration(caller, building)).rejects.toMatchObject({
    code: 'GENERATION_BUILDING',
  });
  await dropGeneration(caller, live);
  expect(await world.texts(t)).toEqual([]);
});

test('a lease fences the holder before; vectors come back as they were; tokens are never given twice', async () => {
  const t = await tenant();
  const db = world.database.worker;
  const shards = createEtlShards({ db });
  const lease = { generationId: live, shard: 0, leaseMs: 60_000 };
  const first = await shards.acquireShard(t, { ...lease, owner: 'one' });
  expect(await shards.acquireShard(t, { ...lease, owner: 'two' })).toBeUndefined();
  const epoch = first?.epoch ?? 0n;
  await shards.releaseShard(t, { ...lease, epoch });
  const second = await shards.acquireShard(t, { ...lease, owner: 'two' });
  expect(second?.epoch).toBeGreaterThan(epoch);
  expect(await shards.renewShard(t, { ...lease, epoch })).toBe(false);
  const embeddings = createEtlEmbeddings({ db });
  const vector = new Float32Array([0.25, -1, 3e-7]);
  await embeddings.saveVectors(t, 'fp', [{ textHash: 'h', vector }]);
  await embeddings.saveVectors(t, 'fp', [{ textHash: 'h', vector: new Float32Array(3) }]);
  expect(await embeddings.findVectors(t, 'fp', ['h', 'i'])).toEqual(new Map([['h', vector]]));
  const bucket = { perSecond: 0.001, burst: 5, want: 3 };
  const slow = await Promise.all(
    Array.from({ length: 8 }, () => embeddings.leaseTokens(t, 'fp', bucket)),
  );
  expect(slow.reduce((sum, { granted }) => sum + granted, 0)).toBe(5);
  expect(slow.some(({ granted, retryAfterMs }) => granted === 0 && retryAfterMs > 0)).toBe(true);
});
