import { readFileSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLsaFitter } from '../../src/adapters/local-embedder/create-lsa-fitter.js';
import { startChild } from '../../src/adapters/processes/start-child.js';
import { hash384 } from '../../src/domain/etl/hash-384.js';
import { decodeLsa } from '../../src/domain/etl/lsa-artifact.js';
import { lsaVector } from '../../src/domain/etl/lsa.js';
import { describeWithData, testDataDir } from '../support/test-data.js';

const fit = createLsaFitter((entry, data) => startChild(entry, { data, env: {} }));

interface Judged {
  chunks: { document: string; text: string }[];
  queries: { id: string; text: string }[];
  judgements: Map<string, Map<string, number>>;
}

/** Title before each chunk, at most 1,200 characters, cut at a sentence. */
function readSciFact(): Judged {
  const lines = (file: string) =>
    readFileSync(join(testDataDir, 'scifact', file), 'utf8')
      .trim()
      .split('\n');
  const objects = (file: string) =>
    lines(file).map((line) => JSON.parse(line) as { _id: string; title: string; text: string });
  const chunks: Judged['chunks'] = [];
  for (const { _id: document, title, text } of objects('corpus.jsonl'))
    for (let rest = text; rest.length > 0;) {
      const sentence = rest.lastIndexOf('. ', 1_198) + 1;
      const cut = rest.length <= 1_200 ? rest.length : sentence > 0 ? sentence : 1_200;
      chunks.push({ document, text: `${title}\n${rest.slice(0, cut)}` });
      rest = rest.slice(cut).trimStart();
    }
  const judgements: Judged['judgements'] = new Map();
  for (const line of lines('qrels.tsv').slice(1)) {
    const [query = '', document = '', gain = '0'] = line.split('\t');
    judgements.set(
      query,
      (judgements.get(query) ?? new Map<string, number>()).set(document, Number(gain)),
    );
  }
  const queries = objects('queries.jsonl').map(({ _id, text }) => ({ id: _id, text }));
  return { chunks, queries, judgements };
}

/** Cosine of one vector with every row of a matrix; four sums side by side, since one alone waits for itself. */
function cosines(rows: Float32Array, query: Float32Array): Float64Array {
  const scores = new Float64Array(rows.length / 384);
  for (let row = 0; row < scores.length; row++) {
    const base = row * 384;
    let [w, x, y, z] = [0, 0, 0, 0];
    for (let d = 0; d < 384; d += 4) {
      w += (query[d] as number) * (rows[base + d] as number);
      x += (query[d + 1] as number) * (rows[base + d + 1] as number);
      y += (query[d + 2] as number) * (rows[base + d + 2] as number);
      z += (query[d + 3] as number) * (rows[base + d + 3] as number);
    }
    scores[row] = w + x + y + z;
  }
  return scores;
}

/** The ten best documents by their best chunk, ties by id; `owner` names the document of each chunk by its place. */
function tenBest(scores: Float64Array, owner: Int32Array, documents: readonly string[]): string[] {
  const best = new Float64Array(documents.length).fill(-2);
  for (let chunk = 0; chunk < scores.length; chunk++) {
    const document = owner[chunk] as number;
    if ((scores[chunk] as number) > (best[document] as number))
      best[document] = scores[chunk] as number;
  }
  const tenth = best.slice().sort().at(-10) ?? -2;
  return documents
    .map((document, at) => ({ document, score: best[at] as number }))
    .filter(({ score }) => score >= tenth && score > -2)
    .sort((a, b) => b.score - a.score || (a.document < b.document ? -1 : 1))
    .slice(0, 10)
    .map(({ document }) => document);
}

/** Mean nDCG@10: exact cosine over all chunks that have a vector. */
function ndcg10(of: Judged, embed: (text: string) => Float32Array | undefined): number {
  const embedded = of.chunks.flatMap(({ document, text }) => {
    const vector = embed(text);
    return vector === undefined ? [] : [{ document, vector }];
  });
  const documents = [...new Set(embedded.map(({ document }) => document))];
  const placeOf = new Map(documents.map((document, at) => [document, at]));
  const owner = Int32Array.from(embedded, ({ document }) => placeOf.get(document) ?? -1);
  const rows = new Float32Array(embedded.length * 384);
  embedded.forEach(({ vector }, at) => rows.set(vector, at * 384));
  const discounted = (gains: number[]) =>
    gains.slice(0, 10).reduce((sum, gain, rank) => sum + gain / Math.log2(rank + 2), 0);
  let total = 0;
  for (const { id, text } of of.queries) {
    const query = embed(text);
    const ranked = query === undefined ? [] : tenBest(cosines(rows, query), owner, documents);
    const gains = of.judgements.get(id) ?? new Map<string, number>();
    const ideal = discounted([...gains.values()].sort((a, b) => b - a));
    if (ideal > 0) total += discounted(ranked.map((document) => gains.get(document) ?? 0)) / ideal;
  }
  return total / of.queries.length;
}

describeWithData('scifact', 'the embedders on SciFact, all 809 queries', () => {
  it('reach nDCG@10 of 0.41 (hash-384) and 0.48 (lsa), fitted within a minute', async () => {
    const set = readSciFact();
    const folder = await mkdtemp(join(tmpdir(), 'anneal-lsa-'));
    try {
      const job = { textsFile: join(folder, 'texts'), artifactFile: join(folder, 'lsa'), seed: 42 };
      const spool = set.chunks.map(({ text }) => `${JSON.stringify(text)}\n`).join('');
      await writeFile(job.textsFile, spool);
      const fitted = await fit(job, new AbortController().signal);
      const model = decodeLsa(await readFile(job.artifactFile), fitted.digest);
      const hash = ndcg10(set, hash384);
      const lsa = ndcg10(set, (text) => lsaVector(model, text));
      process.stdout.write(
        `SciFact nDCG@10: hash-384 ${hash.toFixed(4)}, lsa ${lsa.toFixed(4)}; ` +
          `fit of ${fitted.texts} chunks, ${fitted.terms} terms: ${(fitted.durationMs / 1000).toFixed(1)} s, ` +
          `${Math.round(fitted.maxRssBytes / 1_048_576)} MiB, artifact ${Math.round(fitted.bytes / 1_048_576)} MiB\n`,
      );
      expect(set.queries).toHaveLength(809);
      expect(hash).toBeGreaterThanOrEqual(0.41);
      expect(lsa).toBeGreaterThanOrEqual(0.48);
      // The target is 60 s on a core of its own; the machine runs other tests beside this one.
      expect(fitted.durationMs).toBeLessThan(180_000);
    } finally {
      await rm(folder, { recursive: true });
    }
  }, 300_000);
});
