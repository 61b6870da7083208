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

/** YᵀY, `columns × columns`. */
export function gram({ rows, columns, values }: DenseMatrix): DenseMatrix {
  const product = zeros(columns, columns);
  const sums = product.values;
  for (let row = 0; row < rows; row++) {
    const base = row * columns;
    for (let i = 0; i < columns; i++) {
      const x = values[base + i] ?? 0;
      if (x === 0) continue;
      const target = i * columns;
      for (let j = i; j < columns; j++)
        sums[target + j] = (sums[target + j] ?? 0) + x * (values[base + j] ?? 0);
    }
  }
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

/** Y ← Y R⁻¹, row by row. */
function divideByUpper({ rows, columns, values }: DenseMatrix, upper: Float64Array): void {
  for (let row = 0; row < rows; row++) {
    const base = row * columns;
    for (let i = 0; i < columns; i++) {
      const pivot = upper[i * columns + i] ?? 0;
      const x = pivot === 0 ? 0 : (values[base + i] ?? 0) / pivot;
      values[base + i] = x;
      if (x === 0) continue;
      const factors = i * columns;
      for (let j = i + 1; j < columns; j++)
        values[base + j] = (values[base + j] ?? 0) - x * (upper[factors + j] ?? 0);
    }
  }
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
    for (let p = 0; p < n; p++)
      for (let q = p + 1; q < n; q++) rotate({ a, v: vectors.values, n }, p, q);
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
  // Both triangles are kept: rows are contiguous, columns follow by symmetry.
  for (let k = 0; k < n; k++) {
    const [x, y] = [a[p * n + k] ?? 0, a[q * n + k] ?? 0];
    const [xp, xq] = [c * x - s * y, s * x + c * y];
    a[p * n + k] = xp;
    a[q * n + k] = xq;
    const [vp, vq] = [v[p * n + k] ?? 0, v[q * n + k] ?? 0];
    v[p * n + k] = c * vp - s * vq;
    v[q * n + k] = s * vp + c * vq;
  }
  for (let k = 0; k < n; k++) {
    if (k === p || k === q) continue;
    a[k * n + p] = a[p * n + k] ?? 0;
    a[k * n + q] = a[q * n + k] ?? 0;
  }
  a[p * n + p] = app - t * apq;
  a[q * n + q] = aqq + t * apq;
  a[p * n + q] = 0;
  a[q * n + p] = 0;
}
