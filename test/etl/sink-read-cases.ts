import { accessFilter } from '../../src/domain/etl/vector-sink.js';
import type { SinkRow } from '../../src/domain/etl/vector-sink.js';
import { hash384 } from '../../src/domain/etl/hash-384.js';
import { proseOf, rowIdOf, rowOf, rowsOf, seeded } from './sink-rows.js';
import {
  type Context,
  byId,
  everyone,
  hitIds,
  idsIn,
  idsOf,
  newGeneration,
  put,
  tenant,
} from './sink-world.js';

/** Both legs under a filter. */
export function declareReads({ check, fresh, scale }: Context): void {
  check(9, 'a filter that one row in 100 passes still returns k right rows', async () => {
    const { sink } = await fresh();
    const rare = "group:d'or\\1";
    const rows = rowsOf(0, scale.filterRows, (index) => ({
      acl: index % 100 === 0 ? [rare, 'user:x'] : ['public'],
      metadata: { part: index % 200 === 0 ? "a'b\\" : 'other', even: index % 2 === 0 },
    }));
    await put(sink, rows);
    await sink.compact?.();
    const allowed = new Set(idsOf(rows.filter(({ acl }) => acl.includes(rare))));
    const half = new Set(idsOf(rows.filter((row) => row.metadata['part'] === "a'b\\")));
    const filter = accessFilter({ tenant, principals: [rare, 'group:nobody'] });
    const random = seeded(5);
    for (let query = 0; query < 5; query += 1) {
      const text = proseOf(random, 60);
      const vector = hash384(text) ?? new Float32Array();
      const near = hitIds(await sink.search({ leg: { vector }, k: 10, filter }));
      expect(near.filter((id) => allowed.has(id))).toHaveLength(10);
      const exact = hitIds(await sink.search({ leg: { vector }, k: 10, filter, exact: true }));
      expect(near.filter((id) => exact.includes(id)).length).toBeGreaterThanOrEqual(9);
      const words = hitIds(await sink.search({ leg: { text }, k: 10, filter }));
      expect(words.filter((id) => allowed.has(id))).toHaveLength(10);
      const narrow = { ...filter, metadata: { part: "a'b\\", even: true } };
      const narrowed = hitIds(await sink.search({ leg: { vector }, k: 10, filter: narrow }));
      expect(narrowed.filter((id) => half.has(id))).toHaveLength(10);
    }
  });

  check(15, 'a new row is found by its words before any compaction', async () => {
    const { sink } = await fresh();
    await put(sink, rowsOf(0, 300));
    await sink.compact?.();
    const other = await fresh();
    await put(other.sink, rowsOf(0, 500));
    for (let at = 0; at < 10; at += 1) {
      const leg = { text: rowOf(at * 7).text };
      const hits = await other.sink.search({ leg, k: 1, filter: everyone });
      expect(hitIds(hits)).toEqual([rowIdOf(at * 7)]);
    }
    const row = rowOf('new', { text: 'The vorbloxes were running towards zanquith.' });
    await put(sink, [row]);
    for (const text of ['vorbloxes', 'the run of Zanquith', 'vorblox OR zanquith?'])
      expect(hitIds(await sink.search({ leg: { text }, k: 1, filter: everyone }))).toEqual([
        row.rowId,
      ]);
    expect(await sink.search({ leg: { text: 'the of and' }, k: 5, filter: everyone })).toEqual([]);
    expect(await sink.search({ leg: { text: ' !? ' }, k: 5, filter: everyone })).toEqual([]);
    expect(await sink.search({ leg: { text: 'nowhere' }, k: 5, filter: everyone })).toEqual([]);
    await put(sink, [], { deleteIds: [row.rowId] });
    expect(await sink.search({ leg: { text: 'zanquith' }, k: 5, filter: everyone })).toEqual([]);
  });
}

/** Searches narrowed by metadata: named fields equal, in value and in type, under either leg. */
export function declareMetadata({ check, fresh }: Context): void {
  check(21, 'metadata is set, narrows both legs, and follows its patch', async () => {
    const { sink } = await fresh();
    const metadataOf = (index: number): SinkRow['metadata'] => ({
      team: index % 3 === 0 ? "o'hara \\ “ops”" : 'sales',
      year: 2_020 + (index % 2),
      ratio: index / 8,
      final: index % 2 === 0,
      ...(index === 7 ? { only: '' } : {}),
    });
    const rows = rowsOf(0, 24, (index) => ({
      text: `common words of row ${index}`,
      metadata: metadataOf(index),
    }));
    await put(sink, rows);
    expect(byId(await sink.fetch(idsOf(rows)))).toEqual(byId(rows));
    const found = async (metadata: SinkRow['metadata']) => {
      const filter = accessFilter({ tenant, principals: ['public'], metadata });
      const legs = [{ vector: rowOf(1).vector }, { text: 'common words' }];
      const [near = [], words = []] = await Promise.all(
        legs.map(async (leg) => hitIds(await sink.search({ leg, k: 50, filter })).sort()),
      );
      expect(words).toEqual(near);
      return near;
    };
    const expected = (isRight: (index: number) => boolean) =>
      idsOf(rows.filter((_, index) => isRight(index)));
    const compactions = [async () => undefined, async () => sink.compact?.()];
    for (const settle of compactions) {
      await settle();
      expect(await found({})).toEqual(expected(() => true));
      expect(await found({ team: "o'hara \\ “ops”" })).toEqual(expected((n) => n % 3 === 0));
      expect(await found({ year: 2_021, team: 'sales' })).toEqual(
        expected((n) => n % 2 === 1 && n % 3 !== 0),
      );
      expect(await found({ final: false })).toEqual(expected((n) => n % 2 === 1));
      expect(await found({ ratio: 0.625 })).toEqual(expected((n) => n === 5));
      expect(await found({ only: '' })).toEqual(expected((n) => n === 7));
      for (const none of [{ year: '2021' }, { final: 'false' }, { team: 'Sales' }, { absent: 1 }])
        expect(await found(none)).toEqual([]);
    }
    // As the ledger's copies follow (rung 5): the row as the store has it, with other metadata; nothing is embedded.
    const patched = (await sink.fetch(idsOf(rows.slice(0, 4)))).map((row) => ({
      ...row,
      metadata: { team: 'sales', fresh: true },
    }));
    await put(sink, patched);
    expect(await found({ fresh: true })).toEqual(idsOf(patched));
    expect(await found({ ratio: 0.125 })).toEqual([]);
    expect(await found({ team: "o'hara \\ “ops”" })).toEqual(
      expected((n) => n % 3 === 0 && n >= 4),
    );
    const access = { acl: ['public', 'user:ann'], accessHash: 'access-2' };
    await sink.patchAccess([{ rowId: rowIdOf(5), access }]);
    const after = [...patched, ...rows.slice(4)].map((row) =>
      row.rowId === rowIdOf(5) ? { ...row, ...access } : row,
    );
    expect(byId(await sink.fetch(idsOf(rows)))).toEqual(byId(after));
    expect(await found({ ratio: 0.625, final: false })).toEqual([rowIdOf(5)]);
    expect((await sink.stats()).rows).toBe(24);
  });
}

/** Tenants and scans. */
export function declareScans({ check, fresh, store }: Context): void {
  check(13, 'one tenant never sees rows of another', async () => {
    const shared = newGeneration();
    const other = { ...shared, tenant: 'ten_b' };
    await store().ensureGeneration(shared);
    await store().ensureGeneration(other);
    const [mine, theirs] = [store().sink(shared), store().sink(other)];
    await put(mine, rowsOf(0, 20));
    await put(theirs, rowsOf(20, 40));
    expect(await idsIn(mine)).toEqual(idsOf(rowsOf(0, 20)));
    const leg = { vector: rowOf(25).vector };
    const hits = await mine.search({ leg, k: 100, filter: everyone });
    expect(hitIds(hits).sort()).toEqual(idsOf(rowsOf(0, 20)));
    expect(await mine.search({ leg: { text: rowOf(25).text }, k: 100, filter: everyone })).toEqual(
      (await mine.search({ leg: { text: rowOf(25).text }, k: 100, filter: everyone })).filter(
        ({ rowId }) => idsOf(rowsOf(0, 20)).includes(rowId),
      ),
    );
    expect(await theirs.search({ leg, k: 5, filter: everyone })).toEqual([]);
    expect(await mine.fetch(idsOf(rowsOf(20, 40)))).toEqual([]);
    await put(mine, [], { deleteIds: idsOf(rowsOf(20, 40)) });
    expect(await idsIn(theirs)).toEqual(idsOf(rowsOf(20, 40)));
    await store().dropGeneration(shared);
    expect(await idsIn(theirs)).toEqual(idsOf(rowsOf(20, 40)));
  });

  check(17, 'a scan names every row once while others are written', async () => {
    const { sink } = await fresh();
    const stable = rowsOf(0, 3_000);
    await put(sink, stable);
    const writing = (async () => {
      for (let round = 0; round < 10; round += 1)
        await put(sink, rowsOf(5_000 + round * 10, 5_010 + round * 10), {
          deleteIds: round === 0 ? [] : idsOf(rowsOf(4_990 + round * 10, 5_000 + round * 10)),
        });
    })();
    const seen: string[] = [];
    for (let index = 0; index < 4; index += 1)
      for await (const { rowId, docId, accessHash } of sink.scanIds({
        index: index,
        of: 4,
      })) {
        expect(Math.floor(Number.parseInt(rowId.slice(0, 1), 16) / 4)).toBe(index);
        expect([docId.startsWith('doc-'), accessHash]).toEqual([true, 'access-1']);
        seen.push(rowId);
      }
    await writing;
    expect(new Set(seen).size).toBe(seen.length);
    const found = new Set(seen);
    expect(stable.filter(({ rowId }) => !found.has(rowId))).toEqual([]);
  });
}

/** The approximate index against exact search. */
export function declareRecall({ check, fresh, scale }: Context): void {
  check(20, 'recall of ten against exact search is at least 0.95', async () => {
    const { sink } = await fresh();
    const rows = rowsOf(0, scale.recallRows);
    await put(sink, rows);
    await sink.compact?.();
    const random = seeded(11);
    let same = 0;
    const queries = scale.recallQueries ?? 50;
    for (let query = 0; query < queries; query += 1) {
      const leg = { vector: hash384(proseOf(random, 25)) ?? new Float32Array() };
      const near = hitIds(await sink.search({ leg, k: 10, filter: everyone }));
      const exact = await sink.search({ leg, k: 10, filter: everyone, exact: true });
      for (const { score } of exact) expect(Math.abs(score)).toBeLessThanOrEqual(1.0001);
      same += hitIds(exact).filter((id) => near.includes(id)).length;
      expect(new Set(hitIds(exact)).size).toBe(10);
      // Scores and not ids: at equal distance every order is right.
      if (query < 3)
        for (const [at, score] of bruteForce(rows, leg.vector, 10).entries())
          expect(exact[at]?.score).toBeCloseTo(score, 4);
    }
    expect(same / (queries * 10)).toBeGreaterThanOrEqual(0.95);
  });
}

/** The best scores, without a store's hand in them. */
function bruteForce(rows: readonly SinkRow[], query: Float32Array, k: number): number[] {
  const dot = (a: Float32Array, b: Float32Array) =>
    a.reduce((sum, value, at) => sum + value * (b[at] ?? 0), 0);
  const norm = (vector: Float32Array) => Math.sqrt(dot(vector, vector));
  return rows
    .map(({ vector }) => dot(vector, query) / norm(vector) / norm(query))
    .sort((a, b) => b - a)
    .slice(0, k);
}
