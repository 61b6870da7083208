import { MockActivityEnvironment } from '@temporalio/testing';
import { createBackfillSlice } from '../../src/activities/etl/backfill-slice.js';
import { createEtlActivities, createShardLeases } from '../../src/activities/etl/index.js';
import { createEtlGenerations } from '../../src/adapters/postgres/etl-generations.js';
import { createEtlQuarantineStore } from '../../src/adapters/postgres/etl-quarantine.js';
import { createEtlReembeds } from '../../src/adapters/postgres/etl-reembeds.js';
import { PlatformError } from '../../src/domain/errors.js';
import { hash384Dims } from '../../src/domain/etl/hash-384.js';
import { building, callerOf, sourceId } from './ledger-world.js';
import { WritePathWorld } from './write-path-world.js';

let world: WritePathWorld;
beforeAll(async () => {
  world = await WritePathWorld.create();
});
afterAll(() => world.close());

test('[W5] what has no vector in the live generation keeps its rows in the one that is built', async () => {
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

describe('a document that the embedder of a new generation refuses', () => {
  let refuses = true;

  beforeEach(() => {
    refuses = true;
    world.quarantined.length = 0;
    world.deps = () => {
      const plain = WritePathWorld.prototype.deps.call(world);
      return {
        ...plain,
        embedder: async (tenant, generation) => {
          const embedder = await plain.embedder(tenant, generation);
          if (generation.state === 'LIVE') return embedder;
          return {
            ...embedder,
            embed: async (texts, kind, signal) => {
              if (refuses && texts.some((text) => text.includes('glacier')))
                throw new PlatformError('EMBEDDER_REFUSED_INPUT', 'One of the texts is refused.');
              return embedder.embed(texts, kind, signal);
            },
          };
        },
      };
    };
  });

  const items = async (tenant: string) => {
    const { listItems } = createEtlQuarantineStore(world.database.api, world.parts.cipher);
    return listItems(tenant, {}, { limit: 10, after: undefined });
  };
  const slice = (tenant: string, batchId: string) => {
    const reembeds = createEtlReembeds({ db: world.database.worker });
    const all = { ...world.deps(), backfills: world.ledger, reembeds };
    const work = createBackfillSlice(all, createShardLeases(all).withEpoch);
    const input = { tenant, generationId: building, batchId, maxDocuments: 9 };
    return new MockActivityEnvironment().run(work, input);
  };
  async function begun(tenant: string) {
    await world.seed(tenant);
    await world.put(tenant, {
      'a.txt': 'The turbine of the harbour is described here.',
      'b.txt': 'The glacier above the orchard is described here.',
    });
    await world.run(tenant);
    await world.addGeneration(tenant, building, 'BUILDING');
    expect(await slice(tenant, 'bat_1')).toMatchObject({ claimed: 2, written: 1, stopped: 1 });
  }

  test('is named once by an item with the generation, goes on serving, and is resolved when it is written', async () => {
    const t = 'refused';
    await begun(t);
    const [item, ...more] = await items(t);
    expect(more).toEqual([]);
    const named = { reason: 'bad_vector', stage: 'embed', state: 'OPEN', releasable: false };
    expect(item).toMatchObject({ ...named, evidence: { generationId: building, chunks: 1 } });
    const documents = await world.rows(
      t,
      `select d.doc_id::text, d.stale_since, d.hidden_reason, m.rev is null as behind from etl_document d
       left join etl_manifest m on m.tenant_id = $tenant and m.doc_id = d.doc_id and m.generation_id = '${building}'
       where d.tenant_id = $tenant order by behind`,
    );
    const served = { stale_since: null, hidden_reason: null };
    expect(documents).toMatchObject([
      { ...served, behind: false },
      { ...served, behind: true, doc_id: item?.documentId },
    ]);
    expect(await slice(t, 'bat_2')).toMatchObject({ written: 0, stopped: 1 });
    expect(await items(t)).toMatchObject([{ id: item?.id, state: 'OPEN' }]);
    expect(world.quarantined).toEqual([{ stage: 'embed', reason: 'bad_vector' }]);
    refuses = false;
    expect(await slice(t, 'bat_3')).toMatchObject({ written: 1, stopped: 0 });
    expect(await items(t)).toMatchObject([{ id: item?.id, state: 'RESOLVED' }]);
  }, 60_000);

  test('holds up nobody once the generation is dropped', async () => {
    const t = 'refused-dropped';
    await begun(t);
    const { dropGeneration } = createEtlGenerations({ db: world.database.worker });
    await dropGeneration(callerOf(t), building, 'decided by a person');
    expect(await items(t)).toMatchObject([{ state: 'RESOLVED' }]);
  }, 60_000);
});
