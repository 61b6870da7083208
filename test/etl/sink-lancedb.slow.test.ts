import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLanceStore } from '../../src/adapters/lancedb/create-lance-store.js';
import { accessFilter } from '../../src/domain/etl/vector-sink.js';
import { describeSinkConformance } from './sink-conformance.js';
import { rowOf, rowsOf } from './sink-rows.js';

const filesUnder = async (folder: string): Promise<string[]> =>
  (await readdir(folder, { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));

const limitsOf = createLanceStore({ folder: '/unused' });

describeSinkConformance('LanceDB', {
  caps: limitsOf.caps,
  // The 50,000 rows of the text index are in a test of their own below.
  scale: { writerRounds: 20, filterRows: 5_500, recallRows: 6_000, churnRows: 500 },
  start: async () => {
    const folder = await mkdtemp(join(tmpdir(), 'anneal-lance-'));
    return {
      open: (limits) => createLanceStore({ folder, limits, keepVersionsMs: 0 }),
      diskBytes: async () => {
        let bytes = 0;
        for (const path of await filesUnder(folder)) bytes += (await stat(path)).size;
        return bytes;
      },
      countHeld: async (needles) => {
        const held = new Set<number>();
        for (const path of await filesUnder(folder)) {
          const bytes = await readFile(path);
          for (const [at, needle] of needles.entries()) if (bytes.includes(needle)) held.add(at);
        }
        return held.size;
      },
      stop: () => rm(folder, { recursive: true, force: true }),
    };
  },
});

describe('the embedded store', () => {
  const tenant = 'ten_a';
  const filter = accessFilter({ tenant, principals: ['public'] });
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'anneal-lance-'));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  it('builds the text index over 50,000 rows and finds old and new rows by their words', async () => {
    const store = createLanceStore({ folder, exactRows: 1_000_000 });
    const generation = { tenant, generationId: 'large', embedFp: 'text', dims: 0 };
    await store.ensureGeneration(generation);
    const sink = store.sink(generation);
    const vector = new Float32Array();
    for (let at = 0; at < 50_000; at += 2_000)
      await sink.replaceRows({
        adds: rowsOf(at, at + 2_000, (index) => ({ vector, text: `row${index} of ${index % 7}` })),
        deleteIds: [],
      });
    expect((await sink.stats()).wantsCompaction).toBe(true);
    await sink.compact?.();
    expect(await sink.stats()).toEqual({ rows: 50_000, unindexedRows: 0, wantsCompaction: false });
    const hits = await sink.search({ leg: { text: 'row49999' }, k: 3, filter });
    expect(hits.map(({ docId }) => docId)).toEqual(['doc-49999']);
    await store.close();
  }, 180_000);

  it('refuses vectors where it holds text alone, and names that lead out of its folder', async () => {
    const store = createLanceStore({ folder });
    const generation = { tenant, generationId: 'text', embedFp: 'text', dims: 0 };
    await store.ensureGeneration(generation);
    const leg = { vector: rowOf(0).vector };
    const refused = { code: 'SINK_REFUSED' };
    await expect(store.sink(generation).search({ leg, k: 1, filter })).rejects.toMatchObject(
      refused,
    );
    const escaping = { ...generation, generationId: '../other' };
    await expect(
      Promise.resolve().then(() => store.ensureGeneration(escaping)),
    ).rejects.toMatchObject(refused);
    await store.close();
  });

  it('makes a generation once, however many batches begin at the same moment', async () => {
    const stores = Array.from({ length: 8 }, () => createLanceStore({ folder }));
    for (let round = 0; round < 5; round += 1) {
      const generationId = `at-once-${round}`;
      const generation = { tenant, generationId, embedFp: 'f', dims: 384 };
      await Promise.all(stores.map((store) => store.ensureGeneration(generation)));
      const [first, last] = [stores[0], stores.at(-1)];
      await first?.sink(generation).replaceRows({ adds: rowsOf(0, 3), deleteIds: [] });
      expect((await last?.sink(generation).stats())?.rows).toBe(3);
      const names = await readdir(join(folder, tenant, generationId));
      expect(names.filter((name) => name.endsWith('.lance'))).toHaveLength(1);
    }
    await Promise.all(stores.map((store) => store.close()));
  }, 60_000);

  it('keeps the newest epoch over a restart', async () => {
    const generation = { tenant, generationId: 'epochs', embedFp: 'f', dims: 384 };
    const first = createLanceStore({ folder });
    await first.ensureGeneration(generation);
    await first.sink(generation).replaceRows({ adds: rowsOf(0, 3), deleteIds: [], epoch: 7n });
    await first.close();
    const second = createLanceStore({ folder });
    const late = { adds: rowsOf(3, 6), deleteIds: [], epoch: 6n };
    await expect(second.sink(generation).replaceRows(late)).rejects.toMatchObject({
      code: 'SINK_FENCED',
    });
    expect((await second.sink(generation).stats()).rows).toBe(3);
    await second.close();
  });

  it('goes on reading while another client erases and compacts', async () => {
    const generation = { tenant, generationId: 'readers', embedFp: 'f', dims: 384 };
    const writer = createLanceStore({ folder, keepVersionsMs: 0 });
    const reader = createLanceStore({ folder });
    await writer.ensureGeneration(generation);
    const sink = writer.sink(generation);
    await sink.replaceRows({ adds: rowsOf(0, 500), deleteIds: [] });
    let writing = true;
    const reading = (async () => {
      let answers = 0;
      while (writing) {
        const leg = answers % 2 === 0 ? { vector: rowOf(1).vector } : { text: rowOf(1).text };
        const hits = await reader.sink(generation).search({ leg, k: 1, filter });
        expect(hits[0]?.docId).toBe('doc-1');
        answers += 1;
      }
      return answers;
    })();
    for (let round = 0; round < 5; round += 1) {
      await sink.replaceRows({ adds: rowsOf(600 + round, 601 + round), deleteIds: [] });
      await sink.compact?.();
      await sink.physicallyErase([rowOf(100 + round).rowId]);
    }
    writing = false;
    expect(await reading).toBeGreaterThan(5);
    expect((await reader.sink(generation).stats()).rows).toBe(500);
    await Promise.all([writer.close(), reader.close()]);
  });

  it('names the right rows while they are replaced, deleted and moved', async () => {
    const generation = { tenant, generationId: 'moved', embedFp: 'f', dims: 384 };
    const writer = createLanceStore({ folder, keepVersionsMs: 0 });
    const reader = createLanceStore({ folder });
    await writer.ensureGeneration(generation);
    const [sink, reads] = [writer.sink(generation), reader.sink(generation)];
    const wordOf = (index: number, round: number) => `word${index}x${round}`;
    const rowsIn = (round: number, from: number, to: number) =>
      rowsOf(from, to, (index) => ({ text: wordOf(index, round) }));
    await sink.replaceRows({ adds: rowsIn(0, 0, 60), deleteIds: [] });
    const found = async (index: number, round: number) => {
      const hits = await reads.search({ leg: { text: wordOf(index, round) }, k: 5, filter });
      return hits.map(({ rowId, docId }) => ({ rowId, docId }));
    };
    for (let round = 1; round <= 4; round += 1) {
      for (const index of [0, 29, 30, 59]) await found(index, round - 1);
      // The first half again with other words under the same ids, one row less, and all in another place.
      await sink.replaceRows({ adds: rowsIn(round, 0, 30), deleteIds: [rowOf(60 - round).rowId] });
      if (round % 2 === 0) await sink.compact?.();
      for (const index of [0, 15, 29]) {
        const { rowId, docId } = rowOf(index);
        expect(await found(index, round)).toEqual([{ rowId, docId }]);
        expect(await found(index, round - 1)).toEqual([]);
      }
      expect(await found(60 - round, 0)).toEqual([]);
      const { rowId, docId } = rowOf(30);
      expect(await found(30, 0)).toEqual([{ rowId, docId }]);
    }
    await Promise.all([writer.close(), reader.close()]);
  });
});
