import { MockActivityEnvironment } from '@temporalio/testing';
import { createEtlActivities } from '../../src/activities/etl/index.js';
import { hash384Dims } from '../../src/domain/etl/hash-384.js';
import { building, sourceId } from './ledger-world.js';
import { WritePathWorld } from './write-path-world.js';

let world: WritePathWorld;
beforeAll(async () => {
  world = await WritePathWorld.create();
});
afterAll(() => world.close());

test('W5: what has no vector in the live generation keeps its rows in the one that is built', async () => {
  const t = 'stopped';
  await world.seed(t);
  await world.put(t, { 'a.txt': 'The turbine of the harbour is described here.' });
  expect(await world.run(t)).toMatchObject({ indexed: 1 });
  await world.addGeneration(t, building, 'BUILDING');
  const slice = { tenant: t, generationId: building, batchId: 'bat_slice' };
  expect(await world.ledger.claimLagging({ ...slice, maxDocuments: 9 })).toEqual({ claimed: 1 });
  const { embedAndWriteBatch } = createEtlActivities(world.deps());
  const input = { tenant: t, sourceId, batchId: 'bat_slice' };
  expect(await new MockActivityEnvironment().run(embedAndWriteBatch, input)).toMatchObject({
    counts: { indexed: 1 },
  });
  const missing = async () => {
    const [row] = await world.rows(
      t,
      `select row_ids from etl_manifest where tenant_id = $tenant and generation_id = '${building}'`,
    );
    const rowIds = row?.row_ids as string[];
    const found = await (await world.sinkOf(t, building)).fetch(rowIds);
    return rowIds.length - found.length;
  };
  expect(await missing()).toBe(0);

  const deps = world.deps.bind(world);
  world.deps = () => ({
    ...deps(),
    embedder: async (tenant, generation) => {
      const embedder = await deps().embedder(tenant, generation);
      const bad = async (texts: readonly string[]) =>
        texts.map(() => new Float32Array(hash384Dims).fill(NaN));
      return generation.state === 'LIVE' ? { ...embedder, embed: bad } : embedder;
    },
  });
  await world.put(t, { 'a.txt': 'The glacier above the orchard is described here.' });
  expect(await world.run(t)).toMatchObject({ quarantined: 1, indexed: 0 });
  expect(await missing()).toBe(0);
}, 60_000);
