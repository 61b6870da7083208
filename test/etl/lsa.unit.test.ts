import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLsaFitter } from '../../src/adapters/local-embedder/create-lsa-fitter.js';
import { startChild } from '../../src/adapters/processes/start-child.js';
import { symmetricEigen, gram, orthonormalise, zeros } from '../../src/domain/etl/dense-matrix.js';
import { decodeLsa, encodeLsa } from '../../src/domain/etl/lsa-artifact.js';
import { fitLsa } from '../../src/domain/etl/lsa-fit.js';
import { lsaVector } from '../../src/domain/etl/lsa.js';
import { createRandom } from '../../src/domain/evaluation/random.js';
import { cosine } from '../../src/domain/etl/vector-check.js';

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
