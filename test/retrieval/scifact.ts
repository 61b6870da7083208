import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { sha256 } from '../../src/domain/digest.js';
import { chunkText } from '../../src/domain/etl/chunk-text.js';
import type { Candidate } from '../../src/domain/retrieval/fuse.js';
import { testDataDir } from '../support/test-data.js';

/** A judged query of BEIR SciFact; `fit` for those whose `sha256(id)` has an even first byte. */
export interface SciFactQuery {
  id: string;
  text: string;
  split: 'fit' | 'report';
  judgements: Map<string, number>;
}

/** A chunk of an abstract: title, newline, span of at most 1,200 characters. */
interface SciFactChunk {
  id: string;
  docId: string;
  text: string;
}

export interface SciFact {
  chunks: SciFactChunk[];
  queries: SciFactQuery[];
  documentOf: Map<string, string>;
}

const lines = (file: string): string[] =>
  readFileSync(join(testDataDir, 'scifact', file), 'utf8')
    .split('\n')
    .filter((line) => line !== '');

/** Reads the corpus and cuts it into chunks with the product's chunker. */
export function loadSciFact(): SciFact {
  const chunks = lines('corpus.jsonl').flatMap((line) => {
    const { _id, title, text } = JSON.parse(line) as { _id: string; title: string; text: string };
    const blocks = [{ kind: 'paragraph' as const, start: 0, end: text.length }];
    return chunkText({ title, text, blocks }, { target: 1_200, max: 1_200 }).map(
      ({ embedText }, at) => ({ id: `${_id}#${at}`, docId: _id, text: embedText }),
    );
  });
  const judged = new Map<string, Map<string, number>>();
  for (const line of lines('qrels.tsv').slice(1)) {
    const [query = '', document = '', gain = '0'] = line.split('\t');
    judged.set(query, (judged.get(query) ?? new Map<string, number>()).set(document, Number(gain)));
  }
  const queries = lines('queries.jsonl').map((line): SciFactQuery => {
    const { _id, text } = JSON.parse(line) as { _id: string; text: string };
    const split = (sha256(_id)[0] ?? 0) % 2 === 0 ? 'fit' : 'report';
    return { id: _id, text, split, judgements: judged.get(_id) ?? new Map<string, number>() };
  });
  return { chunks, queries, documentOf: new Map(chunks.map(({ id, docId }) => [id, docId])) };
}

/** Exact search by inner product (= cosine, vectors have length 1) over one flat array; chunks without a vector are left out. */
export function createExactCosine(
  ids: readonly string[],
  vectors: readonly (Float32Array | undefined)[],
): (query: Float32Array | undefined, k: number) => Candidate[] {
  const dims = vectors.find((vector) => vector !== undefined)?.length ?? 0;
  const flat = new Float32Array(ids.length * dims);
  for (const [at, vector] of vectors.entries()) if (vector) flat.set(vector, at * dims);
  const scores = new Float32Array(ids.length);
  return (query, k) => {
    if (query === undefined) return [];
    // Sparse queries are the rule for hashed vectors: only their own dimensions are visited.
    const used = [...query.keys()].filter((dim) => query[dim] !== 0);
    const weights = Float32Array.from(used, (dim) => query[dim] ?? 0);
    for (let row = 0; row < ids.length; row++) {
      let sum = 0;
      const base = row * dims;
      for (let at = 0; at < used.length; at++)
        sum += (flat[base + (used[at] as number)] as number) * (weights[at] as number);
      scores[row] = sum;
    }
    // A threshold from a sorted copy is faster than sorting ids.
    const threshold = scores.slice().sort().at(-k) ?? -Infinity;
    const found: Candidate[] = [];
    for (const [row, id] of ids.entries())
      if (vectors[row] !== undefined && (scores[row] ?? -1) >= threshold)
        found.push({ id, score: scores[row] ?? 0 });
    return found.sort((a, b) => b.score - a.score || (a.id < b.id ? -1 : 1)).slice(0, k);
  };
}
