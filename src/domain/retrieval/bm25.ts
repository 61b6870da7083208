import { tokensOrStopWords } from '../etl/tokens.js';
import type { Candidate } from './fuse.js';

interface Posting {
  rows: number[];
  counts: number[];
}

/** An exact BM25 index in memory. */
export interface Bm25Index {
  /** The k best, best first, ties by id; rows without a term of the query are not in it. */
  search: (query: string, k: number) => Candidate[];
}

/** Saturation and length normalisation: the values of Anserini's BEIR baselines. */
const K1 = 0.9;
const B = 0.4;

const byScore = (a: Candidate, b: Candidate): number =>
  b.score - a.score || (a.id < b.id ? -1 : a.id > b.id ? 1 : 0);

/**
 * Okapi BM25 with Lucene's idf: `Σ ln(1 + (N − df + 0.5) / (df + 0.5)) · tf / (tf + k1 · (1 − b + b · length / mean
 * length))`, k1 0.9, b 0.4, over the stems of `domain/etl/tokens` (Robertson and Zaragoza, The Probabilistic Relevance
 * Framework, 2009, §3; idf and dropped factor k1 + 1 as in Kamphuis et al., Which BM25 Do You Mean?, ECIR 2020). A
 * term counts once per query however often it is there. The reference that stores' lexical legs are measured against.
 */
export function createBm25(rows: readonly { id: string; text: string }[]): Bm25Index {
  const postings = new Map<string, Posting>();
  const lengths = new Float64Array(rows.length);
  let total = 0;
  for (const [at, { text }] of rows.entries()) {
    const counts = new Map<string, number>();
    const found = tokensOrStopWords(text);
    for (const token of found) counts.set(token, (counts.get(token) ?? 0) + 1);
    lengths[at] = found.length;
    total += found.length;
    for (const [token, count] of counts) {
      const posting = postings.get(token) ?? { rows: [], counts: [] };
      posting.rows.push(at);
      posting.counts.push(count);
      postings.set(token, posting);
    }
  }
  const mean = total / rows.length;
  const norms = lengths.map((length) => K1 * (1 - B + (B * length) / mean));

  const scoresOf = (query: string): Map<number, number> => {
    const scores = new Map<number, number>();
    for (const token of new Set(tokensOrStopWords(query))) {
      const posting = postings.get(token);
      if (posting === undefined) continue;
      const df = posting.rows.length;
      const idf = Math.log(1 + (rows.length - df + 0.5) / (df + 0.5));
      for (const [at, row] of posting.rows.entries()) {
        const tf = posting.counts[at] ?? 0;
        const gained = (idf * tf) / (tf + (norms[row] ?? 0));
        scores.set(row, (scores.get(row) ?? 0) + gained);
      }
    }
    return scores;
  };

  return {
    search: (query, k) =>
      [...scoresOf(query)]
        .map(([row, score]) => ({ id: rows[row]?.id ?? '', score }))
        .sort(byScore)
        .slice(0, k),
  };
}
