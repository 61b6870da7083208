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

/** b ← row of A times Q; four terms at a time, added in the order of one at a time. */
function rowTimes({ index, weight }: TermWeights, q: DenseMatrix, b: Float64Array): void {
  b.fill(0);
  const { columns, values } = q;
  let at = 0;
  for (; at + 4 <= index.length; at += 4) {
    const first = (index[at] as number) * columns;
    const second = (index[at + 1] as number) * columns;
    const third = (index[at + 2] as number) * columns;
    const fourth = (index[at + 3] as number) * columns;
    const w = weight[at] as number;
    const x = weight[at + 1] as number;
    const y = weight[at + 2] as number;
    const z = weight[at + 3] as number;
    for (let c = 0; c < columns; c++)
      b[c] =
        (b[c] as number) +
        w * (values[first + c] as number) +
        x * (values[second + c] as number) +
        y * (values[third + c] as number) +
        z * (values[fourth + c] as number);
  }
  for (; at < index.length; at++) {
    const base = (index[at] as number) * columns;
    const value = weight[at] as number;
    for (let c = 0; c < columns; c++)
      b[c] = (b[c] as number) + value * (values[base + c] as number);
  }
}

/** Y ← Y + rowᵀ b. */
function addOuter({ index, weight }: TermWeights, b: Float64Array, y: DenseMatrix): void {
  const { columns, values } = y;
  for (let at = 0; at < index.length; at++) {
    const base = (index[at] as number) * columns;
    const value = weight[at] as number;
    for (let c = 0; c < columns; c++)
      values[base + c] = (values[base + c] as number) + value * (b[c] as number);
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

// Terms that stay in the nearest cache while every component is taken of them.
const panel = 16;

/** The space turned to its singular vectors, `terms × lsaDims`; each sum is taken in the order of the columns. */
function project(space: DenseMatrix, turns: DenseMatrix): Float32Array {
  const { rows: terms, columns, values } = space;
  const projection = new Float32Array(terms * lsaDims);
  // Rows of zeros fill the last four: their sums are zero, as all components beyond the rank are.
  const padded = new Float64Array((turns.rows + 3) * columns);
  padded.set(turns.values);
  const components = Math.min(columns, lsaDims);
  for (let from = 0; from < terms; from += panel)
    for (let component = 0; component < components; component += 4) {
      const four = padded.subarray(component * columns, (component + 4) * columns);
      for (let term = from; term < Math.min(terms, from + panel); term++) {
        const place = values.subarray(term * columns, (term + 1) * columns);
        projectOnFour(place, four, projection.subarray(term * lsaDims + component));
      }
    }
  return projection;
}

/** The four sums of a row with four others, side by side: one sum alone waits for itself at every step. */
function projectOnFour(place: Float64Array, four: Float64Array, into: Float32Array): void {
  const columns = place.length;
  let [w, x, y, z] = [0, 0, 0, 0];
  for (let c = 0; c < columns; c++) {
    const value = place[c] as number;
    w += value * (four[c] as number);
    x += value * (four[columns + c] as number);
    y += value * (four[2 * columns + c] as number);
    z += value * (four[3 * columns + c] as number);
  }
  into[0] = w;
  into[1] = x;
  into[2] = y;
  into[3] = z;
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
  return { ...known, projection: project(space, vectors) };
}
