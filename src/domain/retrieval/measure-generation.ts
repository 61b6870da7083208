import { fitAlpha } from './fit-alpha.js';
import { defaultAlpha, fuse, rrfAllowed, type Fusion, type Legs } from './fuse.js';
import { ndcg, rankDocuments, recall, type Judgements } from './ndcg.js';
import { pairedBootstrap, type Compared } from './paired-bootstrap.js';

/** What a generation answered to one judged query. */
export interface AnsweredQuery {
  queryId: string;
  split: 'fit' | 'report';
  judgements: Judgements;
  legs: Legs;
  /** Document of each chunk in the legs. */
  documents: ReadonlyMap<string, string>;
  latencyMs: number;
}

/** One query's figures; 0 where nothing relevant was found. */
interface QueryFigures {
  ndcg: number;
  recall: number;
}

/** Means over the reporting queries; latencies over all, in ms. */
interface SideFigures {
  /** Weight of the lexical leg in basis points. */
  alphaBp: number;
  /** Whether it was fitted on this set; else the embedder's default. */
  fitted: boolean;
  ndcgAt10: number;
  recallAt50: number;
  latencyP50Ms: number;
  latencyP95Ms: number;
}

/** A generation measured on a set, against its baseline. */
export interface GenerationReport {
  candidate: SideFigures;
  baseline: SideFigures;
  /** nDCG@10 of the candidate's legs alone on the reporting queries, and whether RRF may be the default. */
  legs: { lexical: number; dense: number; rrfAllowed: boolean };
  comparison: Compared;
  fitQueries: number;
  reportQueries: number;
}

/** One row of the per-query table, in query order. */
export interface QueryRow {
  queryId: string;
  split: 'fit' | 'report';
  candidate: QueryFigures;
  baseline: QueryFigures;
}

const mean = (values: readonly number[]): number =>
  values.length === 0 ? 0 : values.reduce((sum, value) => sum + value, 0) / values.length;

/** Nearest-rank percentile (Hyndman and Fan, 1996, type 1); 0 where there is no value. */
const percentile = (values: readonly number[], share: number): number =>
  values.toSorted((a, b) => a - b)[Math.max(0, Math.ceil(share * values.length) - 1)] ?? 0;

type LegsUsed = 'both' | 'lexical' | 'dense';

function figuresOf(query: AnsweredQuery, fusion: Fusion, used: LegsUsed): QueryFigures {
  const legs = {
    lexical: used === 'dense' ? [] : query.legs.lexical,
    dense: used === 'lexical' ? [] : query.legs.dense,
  };
  const ranked = rankDocuments(
    fuse(legs, fusion).map(({ id, score }) => ({ docId: query.documents.get(id) ?? '', score })),
  );
  return {
    ndcg: ndcg(ranked, query.judgements) ?? 0,
    recall: recall(ranked, query.judgements) ?? 0,
  };
}

const reporting = <T extends { split: 'fit' | 'report' }>(rows: readonly T[]): T[] =>
  rows.filter(({ split }) => split === 'report');

/** The weight of a side: fitted on the fitting queries where there are enough, 1 for the lexical leg alone. */
function alphaOf(
  answers: readonly AnsweredQuery[],
  of: { embedder: string; used: LegsUsed },
): { alphaBp: number; fitted: boolean } {
  if (of.used === 'lexical') return { alphaBp: 10_000, fitted: false };
  const fitted = fitAlpha(
    answers
      .filter(({ split }) => split === 'fit')
      .map(({ legs, judgements, documents }) => ({
        legs,
        judgements,
        documentOf: (chunkId) => documents.get(chunkId) ?? '',
      })),
  );
  return fitted === undefined
    ? { alphaBp: Math.round(defaultAlpha(of.embedder) * 10_000), fitted: false }
    : { alphaBp: fitted.alphaBp, fitted: true };
}

function measureSide(
  answers: readonly AnsweredQuery[],
  of: { embedder: string; used: LegsUsed },
): { figures: SideFigures; rows: QueryFigures[] } {
  const { alphaBp, fitted } = alphaOf(answers, of);
  const fusion: Fusion = { kind: 'weighted', alpha: alphaBp / 10_000 };
  const rows = answers.map((query) => figuresOf(query, fusion, of.used));
  const reported = rows.filter((_, at) => answers[at]?.split === 'report');
  const latencies = answers.map(({ latencyMs }) => latencyMs);
  return {
    rows,
    figures: {
      alphaBp,
      fitted,
      ndcgAt10: mean(reported.map((row) => row.ndcg)),
      recallAt50: mean(reported.map((row) => row.recall)),
      latencyP50Ms: percentile(latencies, 0.5),
      latencyP95Ms: percentile(latencies, 0.95),
    },
  };
}

/** Both sides of a comparison; the baseline is the candidate's lexical leg where no generation is named. */
export interface MeasuredSides {
  candidate: { embedder: string; answers: readonly AnsweredQuery[] };
  /** Answers to the same queries in the same order. */
  baseline: { embedder: string; answers: readonly AnsweredQuery[] } | undefined;
  epsilon: number;
  seed: number;
}

/**
 * nDCG@10 and recall@50 of a generation on judged queries, against another one or its own lexical leg (etl.md §11): the
 * weight is fitted on the `fit` half, everything else is said of the `report` half. Queries without a relevant document
 * that can be found count 0.
 */
export function measureGeneration({ candidate, baseline, epsilon, seed }: MeasuredSides): {
  report: GenerationReport;
  rows: QueryRow[];
} {
  const own = measureSide(candidate.answers, { embedder: candidate.embedder, used: 'both' });
  const other =
    baseline === undefined
      ? measureSide(candidate.answers, { embedder: candidate.embedder, used: 'lexical' })
      : measureSide(baseline.answers, { embedder: baseline.embedder, used: 'both' });
  const rows = candidate.answers.map(({ queryId, split }, at): QueryRow => {
    const nothing: QueryFigures = { ndcg: 0, recall: 0 };
    return {
      queryId,
      split,
      candidate: own.rows[at] ?? nothing,
      baseline: other.rows[at] ?? nothing,
    };
  });
  const judged = reporting(rows);
  const alone = (used: LegsUsed, alpha: number): number =>
    mean(
      reporting(candidate.answers).map(
        (query) => figuresOf(query, { kind: 'weighted', alpha }, used).ndcg,
      ),
    );
  const legs = { lexical: alone('lexical', 1), dense: alone('dense', 0) };
  return {
    rows,
    report: {
      candidate: own.figures,
      baseline: other.figures,
      legs: { ...legs, rrfAllowed: rrfAllowed(legs) },
      comparison: pairedBootstrap(
        judged.map((row) => row.candidate.ndcg),
        judged.map((row) => row.baseline.ndcg),
        { seed, epsilon },
      ),
      fitQueries: rows.length - judged.length,
      reportQueries: judged.length,
    },
  };
}
