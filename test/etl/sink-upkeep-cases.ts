import { accessFilter } from '../../src/domain/etl/vector-sink.js';
import { sinkRowBytes } from '../../src/domain/etl/check-sink-batch.js';
import { rowIdOf, rowOf, rowsOf } from './sink-rows.js';
import {
  type Context,
  everyone,
  hitIds,
  idsIn,
  idsOf,
  put,
  refused,
  tenant,
} from './sink-world.js';

/** What is refused, and what must not be. */
export function declareLimits({ check, fresh, caps, under, store }: Context): void {
  check(10, 'characters outside the basic plane survive everywhere', async () => {
    const { sink } = await fresh();
    const row = rowOf('unicode', {
      docId: 'doc-😀-𝔘',
      text: "vorher 😀 𠀋𠀌 größe naïve \u{1F469}\u200D\u{1F4BB} “quoted” it's \\ %_",
      acl: ['group:😀', 'user:𝔘ñ'],
      accessHash: '𠀋',
      metadata: { 'schlüssel 😀': 'wert 𠀋 \'"\\', n: 1.5, yes: true },
    });
    await put(sink, [row, ...rowsOf(0, 5)]);
    expect(await sink.fetch([row.rowId])).toEqual([row]);
    const filter = accessFilter({
      tenant,
      principals: ['group:😀'],
      metadata: { 'schlüssel 😀': 'wert 𠀋 \'"\\', n: 1.5, yes: true },
    });
    const found = await sink.search({ leg: { text: '𠀋𠀌' }, k: 3, filter });
    expect(found.map(({ rowId, docId }) => ({ rowId, docId }))).toEqual([
      { rowId: row.rowId, docId: row.docId },
    ]);
  });

  check(11, 'limits of rows, bytes and metadata hold to the row and the byte', async () => {
    const { generation } = await fresh();
    const bytes = sinkRowBytes(rowOf(0)) + sinkRowBytes(rowOf(1));
    const small = under().open({ maxRows: 4, maxBytes: bytes });
    const sink = small.sink(generation);
    await put(sink, [rowOf(0), rowOf(1)]);
    await put(sink, [rowOf(0)], { deleteIds: ['a', 'b', 'c'] });
    await expect(put(sink, [rowOf(0)], { deleteIds: ['a', 'b', 'c', 'd'] })).rejects.toMatchObject(
      refused,
    );
    const longer = rowOf(1, { text: `${rowOf(1).text}x`, vector: rowOf(1).vector });
    await expect(put(sink, [rowOf(0), longer])).rejects.toMatchObject(refused);
    const shorter = rowOf(1, { text: rowOf(1).text.slice(1), vector: rowOf(1).vector });
    await put(sink, [rowOf(0), shorter]);
    await small.close();
    const padded = (size: number) =>
      rowOf('metadata', { metadata: { p: 'ü'.repeat(10) + 'x'.repeat(size - 28) } });
    const whole = store().sink(generation);
    await put(whole, [padded(caps.maxMetadataBytes - 1)]);
    await put(whole, [padded(caps.maxMetadataBytes)]);
    await expect(put(whole, [padded(caps.maxMetadataBytes + 1)])).rejects.toMatchObject(refused);
    expect(await whole.fetch([rowIdOf('metadata')])).toEqual([padded(caps.maxMetadataBytes)]);
  });

  check(12, 'another number of dimensions or another embedder is refused', async () => {
    const { generation, sink } = await fresh();
    for (const size of [383, 385, 768]) {
      const vector = new Float32Array(size).fill(0.1);
      await expect(put(sink, [{ ...rowOf(0), vector }])).rejects.toMatchObject(refused);
      await expect(sink.search({ leg: { vector }, k: 1, filter: everyone })).rejects.toMatchObject(
        refused,
      );
    }
    await store().ensureGeneration(generation);
    for (const other of [{ embedFp: 'another' }, { dims: 128 }])
      await expect(store().ensureGeneration({ ...generation, ...other })).rejects.toMatchObject(
        refused,
      );
    expect(await idsIn(sink)).toEqual([]);
  });
}

/** Two generations at once. */
export function declareGenerations({ check, fresh, under, store }: Context): void {
  check(
    16,
    'a flip under load never mixes generations, and the old one goes without a trace',
    async () => {
      const [first, second] = [await fresh(), await fresh()];
      const old = new Set(idsOf(rowsOf(0, 200)));
      await put(first.sink, rowsOf(0, 200));
      const reader = under().open();
      let live = first.generation;
      let stopped = false;
      let answers = 0;
      const reading = (async () => {
        for (let round = 0; !stopped || round < 10; round += 1) {
          const asked = live;
          const leg = { vector: rowOf(round % 200).vector };
          const hits = await reader.sink(asked).search({ leg, k: 20, filter: everyone });
          const ofOld = hitIds(hits).filter((id) => old.has(id)).length;
          expect(ofOld).toBe(asked === first.generation ? hits.length : 0);
          answers += hits.length;
        }
      })();
      for (let at = 0; at < 10; at += 1)
        await put(second.sink, rowsOf(1_000 + at * 50, 1_050 + at * 50));
      live = second.generation;
      await put(second.sink, rowsOf(2_000, 2_050));
      stopped = true;
      await reading;
      expect(answers).toBeGreaterThan(100);
      await store().dropGeneration(first.generation);
      await store().dropGeneration(first.generation);
      expect((await store().sink(second.generation).stats()).rows).toBe(550);
      await reader.close();
    },
  );
}

/** Disk and erasure. */
export function declareUpkeep({ check, fresh, caps, scale, under }: Context): void {
  check(18, 'ten rewrites of everything keep the disk below three times its size', async () => {
    const { sink } = await fresh();
    const rows = scale.churnRows;
    await put(sink, rowsOf(0, rows));
    await sink.compact?.();
    const before = await under().diskBytes();
    for (let round = 1; round <= 10; round += 1) {
      const deleteIds = idsOf(rowsOf((round - 1) * rows, round * rows));
      await put(sink, rowsOf(round * rows, (round + 1) * rows), { deleteIds });
      if ((await sink.stats()).wantsCompaction) await sink.compact?.();
    }
    await sink.compact?.();
    expect((await sink.stats()).rows).toBe(rows);
    expect(await under().diskBytes()).toBeLessThanOrEqual(before * 3);
  });

  check(19, 'physical erasure leaves neither row nor bytes', async () => {
    const { sink } = await fresh();
    // Keys of its own: other generations of the store hold the texts of the other cases.
    const rows = Array.from({ length: 400 }, (_, at) => rowOf(`erase-${at}`));
    await put(sink, rows);
    await sink.compact?.();
    const gone = rows.slice(100, 140);
    const needles = gone.map(({ vector }) =>
      Buffer.from(vector.buffer, vector.byteOffset, vector.byteLength),
    );
    expect(await under().countHeld(needles)).toBe(40);
    const report = await sink.physicallyErase(idsOf(gone));
    const proof = caps.verifiableErase ? 'verified' : 'vendor_attested';
    expect(report).toEqual({ erased: 40, remaining: 0, proof });
    expect(await under().countHeld(needles)).toBe(0);
    expect(await sink.fetch(idsOf(gone))).toEqual([]);
    expect(await idsIn(sink)).toEqual(idsOf([...rows.slice(0, 100), ...rows.slice(140)]));
    const text = rows[0]?.text ?? '';
    expect(hitIds(await sink.search({ leg: { text }, k: 1, filter: everyone }))).toEqual([
      rowIdOf('erase-0'),
    ]);
    expect(await sink.physicallyErase(idsOf(gone))).toMatchObject({ erased: 0, remaining: 0 });
  });
}
