import type { AccessFilter, VectorSink } from '../../domain/etl/vector-sink.js';

/** How much of the exact answer the index finds. */
export interface ProbedRecall {
  /** Share of the exact first ten that the index answers too, in basis points, over all asked vectors. */
  recallBp: number;
  asked: number;
  /** Below 0.95: raise the alarm; twice in a row: rebuild. */
  low: boolean;
}

/** Query vectors of a probe, at most. */
const MAX_PROBE_VECTORS = 200;
const DEPTH = 10;
const LOW_BP = 9_500;

/**
 * Recall@10 of the index against exact search, both under the same filter (etl.md §11). Vectors that nothing answers to
 * do not count. @param vectors stored query vectors; the first 200 are asked
 * @returns undefined where no vector has an exact answer
 */
export async function probeRecall(
  sink: Pick<VectorSink, 'search'>,
  of: {
    vectors: readonly Float32Array[];
    filter: AccessFilter;
    alive?: ((asked: number) => void) | undefined;
  },
): Promise<ProbedRecall | undefined> {
  let wanted = 0;
  let found = 0;
  let asked = 0;
  for (const vector of of.vectors.slice(0, MAX_PROBE_VECTORS)) {
    const search = { leg: { vector }, k: DEPTH, filter: of.filter };
    const exact = await sink.search({ ...search, exact: true });
    if (exact.length === 0) continue;
    const answered = new Set((await sink.search(search)).map(({ rowId }) => rowId));
    wanted += exact.length;
    found += exact.filter(({ rowId }) => answered.has(rowId)).length;
    asked++;
    of.alive?.(asked);
  }
  if (wanted === 0) return undefined;
  const recallBp = Math.floor((found * 10_000) / wanted);
  return { recallBp, asked, low: recallBp < LOW_BP };
}
