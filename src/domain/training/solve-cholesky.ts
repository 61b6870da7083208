/**
 * Solves A·x = b in place for a symmetric positive definite A (Cholesky, A = L·Lᵀ; Golub & Van Loan, algorithm 4.2.1).
 * @param a n × n, row-major; the lower triangle is read and overwritten by L
 * @param b right side of length n, overwritten by x
 * @returns false where A is not positive definite or not finite; `a` and `b` are then unusable
 */
export function solveCholesky(a: Float64Array, b: Float64Array): boolean {
  const n = b.length;
  for (let i = 0; i < n; i++) {
    for (let j = 0; j <= i; j++) {
      let sum = a[i * n + j] ?? 0;
      for (let k = 0; k < j; k++) sum -= (a[i * n + k] ?? 0) * (a[j * n + k] ?? 0);
      if (i !== j) a[i * n + j] = sum / (a[j * n + j] ?? 0);
      else if (sum > 0 && Number.isFinite(sum)) a[i * n + i] = Math.sqrt(sum);
      else return false;
    }
  }
  for (let i = 0; i < n; i++) {
    let sum = b[i] ?? 0;
    for (let k = 0; k < i; k++) sum -= (a[i * n + k] ?? 0) * (b[k] ?? 0);
    b[i] = sum / (a[i * n + i] ?? 0);
  }
  for (let i = n - 1; i >= 0; i--) {
    let sum = b[i] ?? 0;
    for (let k = i + 1; k < n; k++) sum -= (a[k * n + i] ?? 0) * (b[k] ?? 0);
    b[i] = sum / (a[i * n + i] ?? 0);
  }
  return b.every(Number.isFinite);
}
