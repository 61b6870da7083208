/** Why a vector cannot be stored (gate `bad_vector`). */
export type VectorFault = 'wrong_dims' | 'not_finite' | 'zero_norm';

/** The fault of a vector; undefined where it can be stored. */
export function vectorFault(vector: Float32Array, dims: number): VectorFault | undefined {
  if (vector.length !== dims) return 'wrong_dims';
  let square = 0;
  for (const value of vector) square += value * value;
  if (!Number.isFinite(square)) return 'not_finite';
  return square === 0 ? 'zero_norm' : undefined;
}

/**
 * Positions whose vectors cannot be stored, with the reason: their texts are embedded once more, then quarantined. An
 * undefined entry is none: its text holds nothing to embed.
 */
export const badVectors = (
  vectors: readonly (Float32Array | undefined)[],
  dims: number,
): { index: number; fault: VectorFault }[] =>
  vectors.flatMap((vector, index) => {
    const fault = vector && vectorFault(vector, dims);
    return fault === undefined ? [] : [{ index, fault }];
  });

/** Cosine similarity, −1 to 1; NaN where a vector is zero or the lengths differ. */
export function cosine(a: Float32Array, b: Float32Array): number {
  if (a.length !== b.length) return NaN;
  let dot = 0;
  let squareA = 0;
  let squareB = 0;
  for (let at = 0; at < a.length; at++) {
    const [x, y] = [a[at] ?? 0, b[at] ?? 0];
    dot += x * y;
    squareA += x * x;
    squareB += y * y;
  }
  return dot / Math.sqrt(squareA * squareB);
}
