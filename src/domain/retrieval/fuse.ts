/** A row that one leg found. Legs are best first and name a row once. */
export interface Candidate {
  /** Id of the chunk; breaks the last ties. */
  id: string;
  /** The leg's own score: BM25 (≥ 0) or cosine similarity (−1 to 1). */
  score: number;
}

/** What the two legs found; a leg that was not asked is empty. */
export interface Legs {
  lexical: readonly Candidate[];
  dense: readonly Candidate[];
}

/** A chunk with its place among all. */
export interface Fused {
  id: string;
  /** `weighted`: 0 to 1; `rrf`: 0 to 2 / (k + 1). */
  score: number;
  /** BM25, or undefined where the lexical leg did not find it. */
  lexical: number | undefined;
  /** Cosine similarity, or undefined where the dense leg did not find it. */
  dense: number | undefined;
}

/** How legs are put together. */
export type Fusion = { kind: 'weighted'; alpha: number } | { kind: 'rrf'; k?: number };

const K_RRF = 60;

/** Embedders whose dense leg is weak on its own: measured on SciFact (etl.md §11). */
const weakEmbedders: ReadonlySet<string> = new Set(['hash-384', 'lsa']);

/** The weight of the lexical leg where none was fitted: 0.9 for `hash-384` and `lsa`, 0.5 for others. */
export const defaultAlpha = (embedder: string): number => (weakEmbedders.has(embedder) ? 0.9 : 0.5);

/**
 * Whether reciprocal rank fusion may be a collection's default: not where the dense leg alone is below BM25, because it
 * weighs both legs equally. @param ndcg means over the same judged queries
 */
export const rrfAllowed = (ndcg: { lexical: number; dense: number }): boolean =>
  ndcg.dense >= ndcg.lexical;

/** Scores on [0, 1]: `(s − min) / (max − min)` over the leg's candidates; 1 for all where they are equal. */
function minMax(leg: readonly Candidate[]): Map<string, number> {
  let low = Infinity;
  let high = -Infinity;
  for (const { score } of leg) {
    if (score < low) low = score;
    if (score > high) high = score;
  }
  const range = high - low;
  return new Map(leg.map(({ id, score }) => [id, range > 0 ? (score - low) / range : 1] as const));
}

/** `1 / (k + rank)`, ranks from 1 in the order of the leg. */
const reciprocalRanks = (leg: readonly Candidate[], k: number): Map<string, number> =>
  new Map(leg.map(({ id }, at) => [id, 1 / (k + at + 1)] as const));

const byPlace = (a: Fused, b: Fused): number =>
  b.score - a.score ||
  (b.lexical ?? -Infinity) - (a.lexical ?? -Infinity) ||
  (a.id < b.id ? -1 : a.id > b.id ? 1 : 0);

/**
 * One order out of two legs, best first; ties by lexical score, then id.
 * `weighted`: `alpha · minmax(BM25) + (1 − alpha) · minmax(cosine)`, absent from a leg = 0 there (convex combination:
 * Bruch, Gai and Ingber, An Analysis of Fusion Functions for Hybrid Retrieval, TOIS 2023, §3). `rrf`: the sum of
 * `1 / (k + rank)`, k = 60 (Cormack, Clarke and Büttcher, Reciprocal Rank Fusion, SIGIR 2009).
 */
export function fuse(legs: Legs, fusion: Fusion): Fused[] {
  const weights =
    fusion.kind === 'weighted'
      ? { lexical: fusion.alpha, dense: 1 - fusion.alpha }
      : { lexical: 1, dense: 1 };
  const placed = (leg: readonly Candidate[]) =>
    fusion.kind === 'weighted' ? minMax(leg) : reciprocalRanks(leg, fusion.k ?? K_RRF);
  const placedLexical = placed(legs.lexical);
  const placedDense = placed(legs.dense);
  const fused = new Map<string, Fused>();
  const entry = (id: string): Fused => {
    const known = fused.get(id);
    if (known !== undefined) return known;
    const score =
      weights.lexical * (placedLexical.get(id) ?? 0) + weights.dense * (placedDense.get(id) ?? 0);
    const made: Fused = { id, score, lexical: undefined, dense: undefined };
    fused.set(id, made);
    return made;
  };
  for (const { id, score } of legs.lexical) entry(id).lexical = score;
  for (const { id, score } of legs.dense) entry(id).dense = score;
  return [...fused.values()].sort(byPlace);
}
