/** Row-major `rows × columns`. */
export interface DenseMatrix {
  rows: number;
  columns: number;
  values: Float64Array;
}

export const zeros = (rows: number, columns: number): DenseMatrix => ({
  rows,
  columns,
  values: new Float64Array(rows * columns),
});

// Rows that stay in the nearest cache while they are used again and again.
const panel = 16;

/**
 * sums ← sums + x xᵀ for the rows `from … to − 1` of a matrix, on and above the diagonal. Four rows at a time, so that a
 * sum is loaded and stored once for four products; they are added in the order of one at a time, with its rounding.
 */
function addProducts(sums: Float64Array, matrix: DenseMatrix, [from, to]: [number, number]): void {
  const { columns, values } = matrix;
  const end = to * columns;
  for (let i = 0; i < columns; i++) {
    const target = i * columns;
    let first = from * columns;
    for (; first + 4 * columns <= end; first += 4 * columns) {
      const [second, third, fourth] = [first + columns, first + 2 * columns, first + 3 * columns];
      const w = values[first + i] as number;
      const x = values[second + i] as number;
      const y = values[third + i] as number;
      const z = values[fourth + i] as number;
      for (let j = i; j < columns; j++)
        sums[target + j] =
          (sums[target + j] as number) +
          w * (values[first + j] as number) +
          x * (values[second + j] as number) +
          y * (values[third + j] as number) +
          z * (values[fourth + j] as number);
    }
    for (; first < end; first += columns) {
      const x = values[first + i] as number;
      for (let j = i; j < columns; j++)
        sums[target + j] = (sums[target + j] as number) + x * (values[first + j] as number);
    }
  }
}

/** YᵀY, `columns × columns`. */
export function gram(matrix: DenseMatrix): DenseMatrix {
  const { rows, columns } = matrix;
  const product = zeros(columns, columns);
  const sums = product.values;
  for (let row = 0; row < rows; row += panel)
    addProducts(sums, matrix, [row, Math.min(rows, row + panel)]);
  for (let i = 0; i < columns; i++)
    for (let j = 0; j < i; j++) sums[i * columns + j] = sums[j * columns + i] ?? 0;
  return product;
}

// A pivot below this share of the largest belongs to a column that the earlier ones span already.
const negligible = 1e-12;

/** Upper Cholesky factor R of G = RᵀR, in place; a dependent column gets a zero pivot (and a zero column of Q). */
function cholesky({ columns, values }: DenseMatrix): void {
  let largest = 0;
  for (let i = 0; i < columns; i++) largest = Math.max(largest, values[i * columns + i] ?? 0);
  for (let i = 0; i < columns; i++) {
    const base = i * columns;
    const pivot = values[base + i] ?? 0;
    if (pivot <= largest * negligible) {
      values.fill(0, base + i, base + columns);
      continue;
    }
    const root = Math.sqrt(pivot);
    for (let j = i; j < columns; j++) values[base + j] = (values[base + j] ?? 0) / root;
    for (let row = i + 1; row < columns; row++) {
      const factor = values[base + row] ?? 0;
      if (factor === 0) continue;
      const target = row * columns;
      for (let j = row; j < columns; j++)
        values[target + j] = (values[target + j] ?? 0) - factor * (values[base + j] ?? 0);
    }
  }
}

/**
 * Makes the columns orthonormal in place by Cholesky QR (Yamamoto et al., ETNA 44, 2015: a second pass takes the error
 * of the first to rounding). Dependent columns become zero.
 */
export function orthonormalise(matrix: DenseMatrix, passes: 1 | 2): void {
  for (let pass = 0; pass < passes; pass++) {
    const factor = gram(matrix);
    cholesky(factor);
    divideByUpper(matrix, factor.values);
  }
}

/** Y ← Y R⁻¹; four columns of R at a time for a panel of rows, in the order of one at a time for one row. */
function divideByUpper({ rows, columns, values }: DenseMatrix, upper: Float64Array): void {
  for (let row = 0; row < rows; row += panel) {
    const end = Math.min(rows, row + panel) * columns;
    for (let i = 0; i < columns; i += 4)
      for (let base = row * columns; base < end; base += columns)
        solveFour(values.subarray(base, base + columns), upper, i);
  }
}

/** Solves up to four places of a row from `i` on, and takes what they say from all places after them. */
function solveFour(y: Float64Array, upper: Float64Array, i: number): void {
  const columns = y.length;
  const after = Math.min(columns, i + 4);
  for (let k = i; k < after; k++) {
    const factors = k * columns;
    const pivot = upper[factors + k] as number;
    const x = pivot === 0 ? 0 : (y[k] as number) / pivot;
    y[k] = x;
    for (let j = k + 1; j < after; j++)
      y[j] = (y[j] as number) - x * (upper[factors + j] as number);
  }
  if (after === columns) return;
  const first = i * columns;
  const [second, third, fourth] = [first + columns, first + 2 * columns, first + 3 * columns];
  const w = y[i] as number;
  const x = y[i + 1] as number;
  const v = y[i + 2] as number;
  const u = y[i + 3] as number;
  for (let j = after; j < columns; j++)
    y[j] =
      (y[j] as number) -
      w * (upper[first + j] as number) -
      x * (upper[second + j] as number) -
      v * (upper[third + j] as number) -
      u * (upper[fourth + j] as number);
}

const maxSweeps = 30;

/**
 * Eigenvalues and eigenvectors of a symmetric matrix by cyclic Jacobi rotations (Golub and Van Loan, 4th ed., §8.5).
 * Changes its argument. Vectors are the ROWS of `vectors`, values largest first; the largest component of each vector
 * by size is positive, so that equal matrices give equal signs.
 */
export function symmetricEigen(matrix: DenseMatrix): {
  values: Float64Array;
  vectors: DenseMatrix;
} {
  const n = matrix.columns;
  const a = matrix.values;
  const vectors = zeros(n, n);
  for (let i = 0; i < n; i++) vectors.values[i * n + i] = 1;
  for (let sweep = 0; sweep < maxSweeps; sweep++) {
    const [inside, outside] = weights(matrix);
    if (outside <= inside * 1e-24) break;
    for (let p = 0; p < n; p++) {
      for (let q = p + 1; q < n; q++) rotate({ a, v: vectors.values, n }, p, q);
      // No rotation of row p reads column p: it follows once, after all of them.
      for (let k = 0; k < n; k++) a[k * n + p] = a[p * n + k] as number;
    }
  }
  const order = Array.from({ length: n }, (_, i) => i).sort(
    (i, j) => (a[j * n + j] ?? 0) - (a[i * n + i] ?? 0) || i - j,
  );
  const sorted = zeros(n, n);
  order.forEach((from, to) => {
    const row = vectors.values.subarray(from * n, from * n + n);
    let peak = 0;
    for (const x of row) if (Math.abs(x) > Math.abs(peak)) peak = x;
    for (let i = 0; i < n; i++) sorted.values[to * n + i] = (peak < 0 ? -1 : 1) * (row[i] ?? 0);
  });
  return { values: Float64Array.from(order, (i) => a[i * n + i] ?? 0), vectors: sorted };
}

/** Sums of squares on and above the diagonal. */
function weights({ columns: n, values }: DenseMatrix): [number, number] {
  let inside = 0;
  let outside = 0;
  for (let i = 0; i < n; i++) {
    inside += (values[i * n + i] ?? 0) ** 2;
    for (let j = i + 1; j < n; j++) outside += (values[i * n + j] ?? 0) ** 2;
  }
  return [inside, outside];
}

function rotate(of: { a: Float64Array; v: Float64Array; n: number }, p: number, q: number): void {
  const { a, v, n } = of;
  const [app, aqq, apq] = [a[p * n + p] ?? 0, a[q * n + q] ?? 0, a[p * n + q] ?? 0];
  // Already nothing beside the two eigenvalues.
  if (apq * apq <= 1e-30 * Math.abs(app * aqq) || apq === 0) return;
  const theta = (aqq - app) / (2 * apq);
  const t = (theta < 0 ? -1 : 1) / (Math.abs(theta) + Math.sqrt(theta * theta + 1));
  const c = 1 / Math.sqrt(t * t + 1);
  const s = t * c;
  const [rowP, rowQ] = [p * n, q * n];
  turnRows({ values: a, n, c, s }, rowP, rowQ);
  turnRows({ values: v, n, c, s }, rowP, rowQ);
  a[rowP + p] = app - t * apq;
  a[rowQ + q] = aqq + t * apq;
  a[rowP + q] = 0;
  a[rowQ + p] = 0;
  // Both triangles are kept: rows are contiguous, column q follows by symmetry (column p when row p is done).
  for (let k = 0, at = q; k < n; k++, at += n) a[at] = a[rowQ + k] as number;
}

/** Turns two rows that start at `rowP` and `rowQ` by the angle of cosine c and sine s. */
function turnRows(
  { values, n, c, s }: { values: Float64Array; n: number; c: number; s: number },
  rowP: number,
  rowQ: number,
): void {
  for (let k = 0; k < n; k++) {
    const x = values[rowP + k] as number;
    const y = values[rowQ + k] as number;
    values[rowP + k] = c * x - s * y;
    values[rowQ + k] = s * x + c * y;
  }
}
