import { PlatformError } from '../errors.js';
import { createRandom } from '../evaluation/random.js';
import { gram, orthonormalise, symmetricEigen, zeros, type DenseMatrix } from './dense-matrix.js';
import { lsaDims, termWeights, type LsaModel, type TermWeights } from './lsa.js';
import { tokens } from './tokens.js';

/** Terms of the vocabulary at most: the most frequent by documents. */
const maxTerms = 30_000;
const minDocuments = 2;
// Halko, Martinsson and Tropp, SIAM Review 53(2), 2011: some columns more than wanted, a few power steps.
const oversampling = 10;
const powerSteps = 1;

/** Terms in at least two texts, the 30,000 most frequent, in code-unit order. */
function vocabulary(stemsOf: readonly (readonly string[])[]): Pick<LsaModel, 'terms' | 'idf'> {
  const frequency = new Map<string, number>();
  for (const stems of stemsOf)
    for (const stem of new Set(stems)) frequency.set(stem, (frequency.get(stem) ?? 0) + 1);
  const byCode = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);
  const kept = [...frequency]
    .filter(([, count]) => count >= minDocuments)
    .sort(([a, m], [b, n]) => n - m || byCode(a, b))
    .slice(0, maxTerms)
    .sort(([a], [b]) => byCode(a, b));
  return {
    terms: new Map(kept.map(([term], index) => [term, index])),
    idf: Float64Array.from(kept, ([, count]) => Math.log((1 + stemsOf.length) / (1 + count)) + 1),
  };
}

/** Random signs: a test matrix as good as a Gaussian one, without its logarithms. */
function randomSigns(rows: number, columns: number, seed: number): DenseMatrix {
  const matrix = zeros(rows, columns);
  const random = createRandom(seed, 'lsa');
  for (let at = 0; at < matrix.values.length; at += 32) {
    const bits = random.uint32();
    for (let bit = 0; bit < 32 && at + bit < matrix.values.length; bit++)
      matrix.values[at + bit] = (bits >>> bit) & 1 ? 1 : -1;
  }
  return matrix;
}

/** b ← row of A times Q. */
function rowTimes({ index, weight }: TermWeights, q: DenseMatrix, b: Float64Array): void {
  b.fill(0);
  for (let at = 0; at < index.length; at++) {
    const base = (index[at] ?? 0) * q.columns;
    const value = weight[at] ?? 0;
    for (let c = 0; c < b.length; c++) b[c] = (b[c] ?? 0) + value * (q.values[base + c] ?? 0);
  }
}

/** Y ← Y + rowᵀ b. */
function addOuter({ index, weight }: TermWeights, b: Float64Array, y: DenseMatrix): void {
  for (let at = 0; at < index.length; at++) {
    const base = (index[at] ?? 0) * y.columns;
    const value = weight[at] ?? 0;
    for (let c = 0; c < b.length; c++)
      y.values[base + c] = (y.values[base + c] ?? 0) + value * (b[c] ?? 0);
  }
}

/** An orthonormal basis of (nearly) the space of the leading right singular vectors of A, `terms × columns`. */
function leadingSpace(
  rows: readonly TermWeights[],
  of: { terms: number; columns: number; seed: number },
): DenseMatrix {
  const b = new Float64Array(of.columns);
  let space = zeros(of.terms, of.columns);
  const signs = randomSigns(rows.length, of.columns, of.seed);
  rows.forEach((row, at) =>
    addOuter(row, signs.values.subarray(at * of.columns, (at + 1) * of.columns), space),
  );
  for (let step = 0; step <= powerSteps; step++) {
    // Between two steps one pass is enough: it only keeps the columns apart.
    orthonormalise(space, step === powerSteps ? 2 : 1);
    if (step === powerSteps) break;
    const next = zeros(of.terms, of.columns);
    for (const row of rows) {
      rowTimes(row, space, b);
      addOuter(row, b, next);
    }
    space = next;
  }
  return space;
}

/** The rotation of the space that puts its singular vectors in order: eigenvectors of (A Q)ᵀ(A Q), as rows. */
function rotation(rows: readonly TermWeights[], space: DenseMatrix): DenseMatrix {
  const image = zeros(rows.length, space.columns);
  rows.forEach((row, at) =>
    rowTimes(row, space, image.values.subarray(at * space.columns, (at + 1) * space.columns)),
  );
  return symmetricEigen(gram(image)).vectors;
}

/**
 * Fits `lsa` v2: TF-IDF over terms that at least two texts hold, then a randomised truncated SVD to 384 dimensions.
 * Deterministic, whatever the order of the texts: they are sorted first, the seed is the caller's, and nothing but
 * IEEE arithmetic in a fixed order is used.
 * @param of.seed integer, 0 ≤ seed < 2^53
 * @throws PlatformError EMBEDDER_MISCONFIGURED where no term occurs in two texts: nothing can be fitted
 */
export function fitLsa(of: { texts: readonly string[]; seed: number }): LsaModel {
  const stemsOf = [...of.texts].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0)).map(tokens);
  const known = vocabulary(stemsOf);
  const rows = stemsOf
    .map((stems) => termWeights(stems, known))
    .filter(({ index }) => index.length > 0);
  const terms = known.terms.size;
  if (terms === 0)
    throw new PlatformError(
      'EMBEDDER_MISCONFIGURED',
      'lsa needs a corpus in which at least one word occurs in two texts',
    );
  const columns = Math.min(lsaDims + oversampling, terms, rows.length);
  const space = leadingSpace(rows, { terms, columns, seed: of.seed });
  const vectors = rotation(rows, space);
  const projection = new Float32Array(terms * lsaDims);
  for (let component = 0; component < Math.min(columns, lsaDims); component++) {
    const turn = vectors.values.subarray(component * columns, (component + 1) * columns);
    for (let term = 0; term < terms; term++) {
      let sum = 0;
      for (let c = 0; c < columns; c++)
        sum += (space.values[term * columns + c] ?? 0) * (turn[c] ?? 0);
      projection[term * lsaDims + component] = sum;
    }
  }
  return { ...known, projection };
}
