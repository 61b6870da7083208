import { fuse, type Legs } from './fuse.js';
import { ndcg, rankDocuments, type Judgements } from './ndcg.js';

/** What both legs found for one judged query. */
export interface JudgedLegs {
  legs: Legs;
  judgements: Judgements;
  /** Document of each chunk that a leg names. */
  documentOf: (chunkId: string) => string;
}

/** Judged queries below which no weight is fitted. */
const MIN_FITTING_QUERIES = 20;

const STEPS = 20;

/** What was fitted. */
export interface FittedAlpha {
  /** Weight of the lexical leg in basis points: 0, 500 … 10,000. */
  alphaBp: number;
  /** Mean nDCG@10 on the fitting queries at this weight, and of the lexical leg alone (never above it). */
  ndcg: number;
  lexicalNdcg: number;
  queries: number;
}

/** nDCG@10 of the fused order of one query; undefined where nothing is judged relevant. */
export const fusedNdcg = (judged: JudgedLegs, alpha: number): number | undefined =>
  ndcg(
    rankDocuments(
      fuse(judged.legs, { kind: 'weighted', alpha }).map(({ id, score }) => ({
        docId: judged.documentOf(id),
        score,
      })),
    ),
    judged.judgements,
  );

/** Mean over the queries that have a relevant document; NaN where none has. */
function meanNdcg(queries: readonly JudgedLegs[], alpha: number): { mean: number; count: number } {
  let sum = 0;
  let count = 0;
  for (const query of queries) {
    const value = fusedNdcg(query, alpha);
    if (value === undefined) continue;
    sum += value;
    count++;
  }
  return { mean: sum / count, count };
}

/**
 * The weight among {0, 0.05 … 1} with the highest mean nDCG@10; of equals the one nearest to lexical alone. 1 is among
 * them, and there the order is the lexical leg’s with what only the dense leg found behind it (its last candidate, 0 after
 * normalisation, ties with those): hybrid is not worse
 * than lexical alone on the fitting queries.
 * @returns undefined with fewer than {@link MIN_FITTING_QUERIES} queries that have a relevant document
 */
export function fitAlpha(queries: readonly JudgedLegs[]): FittedAlpha | undefined {
  const lexicalAlone = queries.map((query) => ({
    ...query,
    legs: { lexical: query.legs.lexical, dense: [] },
  }));
  const { mean: lexicalNdcg, count } = meanNdcg(lexicalAlone, 1);
  if (count < MIN_FITTING_QUERIES) return undefined;
  let best = { alphaBp: 10_000, ndcg: meanNdcg(queries, 1).mean };
  for (let step = STEPS - 1; step >= 0; step--) {
    const { mean } = meanNdcg(queries, step / STEPS);
    if (mean > best.ndcg) best = { alphaBp: (step * 10_000) / STEPS, ndcg: mean };
  }
  return { ...best, lexicalNdcg, queries: count };
}
