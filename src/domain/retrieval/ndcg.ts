/** Gain of each judged document of one query; a document that is not in it has gain 0. */
export type Judgements = ReadonlyMap<string, number>;

/** A chunk in an answer, and the document it is part of. */
export interface RankedChunk {
  docId: string;
  score: number;
}

/** Documents by their best chunk, best first; ties by document id. */
export function rankDocuments(chunks: Iterable<RankedChunk>): string[] {
  const best = new Map<string, number>();
  for (const { docId, score } of chunks) {
    const known = best.get(docId);
    if (known === undefined || score > known) best.set(docId, score);
  }
  return [...best]
    .sort(([a, scoreA], [b, scoreB]) => scoreB - scoreA || (a < b ? -1 : a > b ? 1 : 0))
    .map(([docId]) => docId);
}

const discounted = (gains: readonly number[]): number =>
  gains.reduce((sum, gain, at) => sum + gain / Math.log2(at + 2), 0);

/**
 * nDCG@depth, 0 to 1: `Σ gain / log2(rank + 1)` of the first `depth` documents over the same sum for the ideal order of
 * all judged documents (Järvelin and Kekäläinen, Cumulated Gain-Based Evaluation of IR Techniques, TOIS 2002; linear
 * gain and this discount as in trec_eval `ndcg_cut`). Undefined where no judgement has a gain above 0.
 * @param ranked documents, best first, each once
 */
export function ndcg(
  ranked: readonly string[],
  judgements: Judgements,
  depth = 10,
): number | undefined {
  const ideal = discounted([...judgements.values()].sort((a, b) => b - a).slice(0, depth));
  if (!(ideal > 0)) return undefined;
  return discounted(ranked.slice(0, depth).map((docId) => judgements.get(docId) ?? 0)) / ideal;
}

/**
 * Share of the documents with a gain above 0 that are among the first `depth`, 0 to 1; undefined where there is none.
 * @param ranked documents, best first, each once
 */
export function recall(
  ranked: readonly string[],
  judgements: Judgements,
  depth = 50,
): number | undefined {
  const relevant = [...judgements].filter(([, gain]) => gain > 0).map(([docId]) => docId);
  if (relevant.length === 0) return undefined;
  const found = new Set(ranked.slice(0, depth));
  return relevant.filter((docId) => found.has(docId)).length / relevant.length;
}
