import { accessFilter } from '../../src/domain/etl/vector-sink.js';
import type { VectorStore } from '../../src/domain/etl/vector-sink.js';
import { rowIdOf, rowOf, rowsOf } from './sink-rows.js';
import {
  type Context,
  byId,
  everyone,
  fenced,
  hitIds,
  idsIn,
  idsOf,
  put,
  refused,
  tenant,
} from './sink-world.js';

/** What a replacement leaves behind. */
export function declareWrites({ check, fresh }: Context): void {
  check(1, 'repeating a replacement three times changes nothing', async () => {
    const { sink } = await fresh();
    await put(sink, rowsOf(0, 20));
    const adds = rowsOf(10, 40);
    const deleteIds = idsOf(rowsOf(0, 10));
    for (let time = 0; time < 3; time += 1) await put(sink, adds, { deleteIds });
    expect(await idsIn(sink)).toEqual(idsOf(adds));
    expect(byId(await sink.fetch(idsOf(adds)))).toEqual(byId(adds));
    expect((await sink.stats()).rows).toBe(30);
  });

  check(2, 'a replacement shrinks and grows a document', async () => {
    const { sink } = await fresh();
    await put(sink, rowsOf(0, 30));
    await put(sink, rowsOf(100, 105), { deleteIds: idsOf(rowsOf(0, 30)) });
    expect(await idsIn(sink)).toEqual(idsOf(rowsOf(100, 105)));
    await put(sink, rowsOf(200, 260), { deleteIds: idsOf(rowsOf(100, 105)) });
    expect(await idsIn(sink)).toEqual(idsOf(rowsOf(200, 260)));
    await put(sink, [], { deleteIds: idsOf(rowsOf(200, 260)) });
    expect(await idsIn(sink)).toEqual([]);
  });

  check(3, 'rows that are kept stay as they were', async () => {
    const { sink } = await fresh();
    const kept = rowsOf(0, 25);
    await put(sink, [...kept, ...rowsOf(50, 60)]);
    const before = byId(await sink.fetch(idsOf(kept)));
    await put(sink, rowsOf(60, 70), { deleteIds: idsOf(rowsOf(50, 60)) });
    expect(byId(await sink.fetch(idsOf(kept)))).toEqual(before);
    expect(before).toEqual(byId(kept));
  });

  check(
    5,
    'a different plan after a crash between upsert and delete leaves only its rows',
    async () => {
      const { sink } = await fresh();
      await put(sink, rowsOf(0, 20));
      // The upsert of a replacement 0–19 → 20–39 arrived, its delete did not; the source says 40–49 by now.
      await put(sink, rowsOf(20, 40));
      await put(sink, rowsOf(40, 50), { deleteIds: idsOf(rowsOf(0, 40)) });
      expect(await idsIn(sink)).toEqual(idsOf(rowsOf(40, 50)));
    },
  );
}

/** Bad rows, and changed access. */
export function declareRowCases({ check, fresh }: Context): void {
  check(7, 'one bad row in 512 is named, and none of its batch is written', async () => {
    const { sink } = await fresh();
    const rows = rowsOf(0, 512);
    for (const bad of [Number.NaN, Number.POSITIVE_INFINITY]) {
      const vector = new Float32Array(384).fill(0.05);
      vector[7] = bad;
      const batch = rows.map((row, at) => (at === 300 ? { ...row, vector } : row));
      await expect(put(sink, batch)).rejects.toMatchObject(refused);
      await expect(put(sink, batch)).rejects.toThrow(rowIdOf(300));
    }
    const zero = rows.map((row, at) =>
      at === 5 ? { ...row, vector: new Float32Array(384) } : row,
    );
    await expect(put(sink, zero)).rejects.toMatchObject(refused);
    await expect(put(sink, [...rows.slice(0, 9), rowOf(3)])).rejects.toMatchObject(refused);
    expect(await idsIn(sink)).toEqual([]);
    await put(
      sink,
      rows.filter((_, at) => at !== 300),
    );
    expect((await sink.stats()).rows).toBe(511);
  });

  check(
    14,
    'an access patch changes who finds a row, and neither its vector nor its text',
    async () => {
      const { sink } = await fresh();
      await put(sink, rowsOf(0, 50));
      const access = { acl: ['group:o\'brien \\ "co"', 'user:ann'], accessHash: 'access-2' };
      const patches = [1, 2, 3].map((key) => ({ rowId: rowIdOf(key), access }));
      await sink.patchAccess([...patches, { rowId: rowIdOf('absent'), access }]);
      const leg = { vector: rowOf(1).vector };
      const ann = accessFilter({ tenant, principals: ['user:ann'] });
      expect(hitIds(await sink.search({ leg, k: 100, filter: ann })).sort()).toEqual(
        idsOf(patches),
      );
      expect(hitIds(await sink.search({ leg, k: 100, filter: everyone }))).toHaveLength(47);
      const quoted = accessFilter({ tenant, principals: ['group:o\'brien \\ "co"'] });
      const text = { text: rowOf(2).text };
      expect(hitIds(await sink.search({ leg: text, k: 5, filter: quoted }))[0]).toBe(rowIdOf(2));
      expect(byId(await sink.fetch(idsOf(patches)))).toEqual(
        byId([1, 2, 3].map((key) => rowOf(key, access))),
      );
      expect((await sink.stats()).rows).toBe(50);
    },
  );
}

/** Several writers and readers. */
export function declareWriters({ check, fresh, caps, scale, under }: Context): void {
  check(4, 'four writers of equal keys leave every key once', async () => {
    const { generation, sink } = await fresh();
    const stores = [1, 2, 3, 4].map(() => under().open());
    const rows = rowsOf(0, 1_000);
    let refusals = 0;
    const write = async (writer: VectorStore, epoch: bigint | undefined) => {
      for (let round = 0; round < scale.writerRounds; round += 1)
        try {
          await writer.sink(generation).replaceRows({ adds: rows, deleteIds: [], epoch });
        } catch (error) {
          expect(error).toMatchObject(fenced);
          refusals += 1;
        }
    };
    const single = caps.writers === 'single';
    if (single) await put(sink, rowsOf(0, 1), { epoch: 4n });
    await Promise.all(
      stores.map((writer, at) => write(writer, single ? BigInt(at + 1) : undefined)),
    );
    expect(refusals).toBe(single ? 3 * scale.writerRounds : 0);
    expect(await idsIn(sink)).toEqual(idsOf(rows));
    await Promise.all(stores.map((each) => each.close()));
  });

  check(6, 'a writer that wakes up late changes nothing that is current', async () => {
    const { generation, sink } = await fresh();
    await put(sink, rowsOf(0, 10), { epoch: 1n });
    await put(sink, rowsOf(10, 20), { deleteIds: idsOf(rowsOf(0, 10)), epoch: 2n });
    const other = under().open();
    const late = other.sink(generation);
    const again = { adds: rowsOf(0, 10), deleteIds: ['gone'], epoch: 1n };
    if (caps.writers === 'single') {
      await expect(late.replaceRows(again)).rejects.toMatchObject(fenced);
      const patch = { rowId: rowIdOf(10), access: { acl: ['user:late'], accessHash: 'late' } };
      await expect(late.patchAccess([patch], 1n)).rejects.toMatchObject(fenced);
      await expect(late.physicallyErase([rowIdOf(10)], 1n)).rejects.toMatchObject(fenced);
      expect(await idsIn(sink)).toEqual(idsOf(rowsOf(10, 20)));
    } else await put(late, [], { deleteIds: idsOf(rowsOf(0, 10)) });
    expect(byId(await sink.fetch(idsOf(rowsOf(10, 20))))).toEqual(byId(rowsOf(10, 20)));
    await other.close();
  });

  check(8, 'a write is visible to another client as the store declares', async () => {
    const { generation, sink } = await fresh();
    const other = under().open();
    const reader = other.sink(generation);
    expect(await idsIn(reader)).toEqual([]);
    for (let round = 0; round < 5; round += 1) {
      const row = rowOf(`round-${round}`);
      await put(sink, [row]);
      const hits = await reader.search({ leg: { vector: row.vector }, k: 1, filter: everyone });
      expect(hitIds(hits)).toEqual([row.rowId]);
      expect(await reader.fetch([row.rowId])).toEqual([row]);
    }
    await other.close();
  });
}
