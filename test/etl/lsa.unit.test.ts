import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLsaFitter } from '../../src/adapters/local-embedder/create-lsa-fitter.js';
import { startChild } from '../../src/adapters/processes/start-child.js';
import { symmetricEigen, gram, orthonormalise, zeros } from '../../src/domain/etl/dense-matrix.js';
import { hash384 } from '../../src/domain/etl/hash-384.js';
import { decodeLsa, encodeLsa } from '../../src/domain/etl/lsa-artifact.js';
import { fitLsa } from '../../src/domain/etl/lsa-fit.js';
import { lsaVector } from '../../src/domain/etl/lsa.js';
import { createRandom } from '../../src/domain/evaluation/random.js';
import { cosine } from '../../src/domain/etl/vector-check.js';
import { describeWithData, testDataDir } from '../support/test-data.js';

const corpus = [
  'The physician examined the patient in the clinic',
  'A doctor saw the patient at the clinic',
  'The physician and the doctor share a clinic',
  'Ships leave the harbour at high tide',
  'The harbour master counts ships and boats',
  'Boats follow the tide out of the harbour',
];
const fit = createLsaFitter((entry, data) => startChild(entry, { data, env: {} }));

describe('lsa v2', () => {
  it('answers vectors of length 1, near for texts of one subject, and none for unheard words', () => {
    const model = fitLsa({ texts: corpus, seed: 1 });
    const vector = (text: string) => lsaVector(model, text) ?? new Float32Array(384);
    const [clinic, other] = [vector('the clinic of the physician'), vector('patients and clinics')];
    expect(Math.hypot(...clinic)).toBeCloseTo(1, 5);
    expect(cosine(clinic, other)).toBeGreaterThan(0.3);
    expect(Math.abs(cosine(clinic, vector('harbour and tide')))).toBeLessThan(0.01);
    expect(lsaVector(model, 'unheard words')).toBeUndefined();
  });

  it('gives the same bytes and digest whatever the order of the texts, and others for another corpus', () => {
    const first = encodeLsa(fitLsa({ texts: corpus, seed: 1 }));
    const second = encodeLsa(fitLsa({ texts: [...corpus].reverse(), seed: 1 }));
    expect(second).toEqual(first);
    expect(encodeLsa(fitLsa({ texts: corpus.slice(1), seed: 1 })).digest).not.toBe(first.digest);
  });

  it('reads its artifact back, and refuses a damaged one', () => {
    const model = fitLsa({ texts: corpus, seed: 1 });
    const { bytes, digest } = encodeLsa(model);
    expect(decodeLsa(bytes, digest)).toEqual(model);
    const damaged = bytes.slice();
    damaged[damaged.length - 1] = (damaged.at(-1) ?? 0) ^ 1;
    expect(() => decodeLsa(damaged, digest)).toThrow('cannot be read');
    expect(() => decodeLsa(bytes.subarray(0, 40))).toThrow('cannot be read');
  });

  it('says so where nothing can be fitted', () => {
    expect(() => fitLsa({ texts: ['one two', 'three four'], seed: 1 })).toThrow('two texts');
  });

  it('keeps the leading right singular subspace: a rank-3 matrix is reproduced exactly', () => {
    // Three topics of disjoint words, each text of one topic equal in weights: three singular values, all found.
    const texts = ['alpha beta', 'gamma delta', 'epsilon zeta'].flatMap((text) => [text, text]);
    const model = fitLsa({ texts, seed: 3 });
    const used = (model.projection.length / 384) | 0;
    expect(used).toBe(6);
    for (const text of texts) {
      const vector = lsaVector(model, text) ?? new Float32Array(384);
      for (const other of texts)
        expect(cosine(vector, lsaVector(model, other) ?? vector)).toBeCloseTo(
          text === other ? 1 : 0,
          5,
        );
    }
  });

  it('fits in a process of its own, from a spool file, and names what cannot be fitted', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'anneal-lsa-'));
    try {
      const job = { textsFile: join(folder, 'texts'), artifactFile: join(folder, 'lsa'), seed: 1 };
      await writeFile(job.textsFile, corpus.map((text) => `${JSON.stringify(text)}\n`).join(''));
      const signal = new AbortController().signal;
      const fitted = await fit(job, signal);
      const { bytes, digest } = encodeLsa(fitLsa({ texts: corpus, seed: 1 }));
      expect([fitted.digest, fitted.bytes, fitted.texts]).toEqual([digest, bytes.length, 6]);
      expect(Buffer.compare(await readFile(job.artifactFile), bytes)).toBe(0);
      await writeFile(job.textsFile, '"alone"\n');
      await expect(fit(job, signal)).rejects.toMatchObject({ code: 'EMBEDDER_MISCONFIGURED' });
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});

describe('matrices', () => {
  it('orthonormalises columns and drops dependent ones', () => {
    const random = createRandom(5);
    const matrix = zeros(40, 6);
    matrix.values.forEach((_, at) => {
      matrix.values[at] = at % 6 === 5 ? 2 * (matrix.values[at - 1] ?? 0) : random.uniform() - 0.5;
    });
    orthonormalise(matrix, 2);
    const product = gram(matrix).values;
    product.forEach((value, at) => {
      const [i, j] = [Math.floor(at / 6), at % 6];
      expect(value).toBeCloseTo(i === j && i < 5 ? 1 : 0, 10);
    });
  });

  it('finds eigenvalues and eigenvectors: A v = λ v, largest first', () => {
    const random = createRandom(6);
    const source = zeros(30, 12);
    source.values.forEach((_, at) => {
      source.values[at] = random.uniform() - 0.5;
    });
    const matrix = gram(source);
    const { values, vectors } = symmetricEigen({ ...matrix, values: matrix.values.slice() });
    expect([...values]).toEqual([...values].sort((a, b) => b - a));
    for (let e = 0; e < 12; e++)
      for (let i = 0; i < 12; i++) {
        let sum = 0;
        for (let j = 0; j < 12; j++)
          sum += (matrix.values[i * 12 + j] ?? 0) * (vectors.values[e * 12 + j] ?? 0);
        expect(sum).toBeCloseTo((values[e] ?? 0) * (vectors.values[e * 12 + i] ?? 0), 9);
      }
  });
});

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
