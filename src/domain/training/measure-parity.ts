import { createPredictor, type TrainedModel } from './trained-model.js';
import type { RawRow } from './training-table.js';

/** Largest difference of two probabilities, and half-width around 0.5 in which the label may differ. */
const PARITY_TOLERANCE = 1e-5;

/** How far an exported model is from the trained one. */
export interface ParityReport {
  ok: boolean;
  rows: number;
  /** max |p served − p reference|; NaN counts as infinite. */
  maxAbsDifference: number;
  /** Rows whose label differs although |p − 0.5| > 1e-5. */
  labelMismatches: number;
  /** Index of the worst row, −1 where there is none. */
  worstRow: number;
}

/** Compares served probabilities of the positive class with the float64 reference, row by row. */
export function compareProbabilities(
  reference: ArrayLike<number>,
  served: ArrayLike<number>,
): ParityReport {
  let maxAbsDifference = 0;
  let labelMismatches = 0;
  let worstRow = -1;
  for (let i = 0; i < reference.length; i++) {
    const p = reference[i] ?? Number.NaN;
    const q = served[i] ?? Number.NaN;
    const difference = Number.isNaN(p - q) ? Number.POSITIVE_INFINITY : Math.abs(p - q);
    if (difference > maxAbsDifference || worstRow < 0) {
      maxAbsDifference = Math.max(maxAbsDifference, difference);
      worstRow = i;
    }
    if (p >= 0.5 !== q >= 0.5 && Math.abs(p - 0.5) > PARITY_TOLERANCE) labelMismatches++;
  }
  const sameCount = reference.length === served.length && reference.length > 0;
  const ok = sameCount && maxAbsDifference <= PARITY_TOLERANCE && labelMismatches === 0;
  return { ok, rows: reference.length, maxAbsDifference, labelMismatches, worstRow };
}

/**
 * Scores raw held-out rows with the exported model (`score`, in order) and with the trainer's float64 reference.
 * Give at least 1,000 rows, all there are if fewer; no rows is not parity (`ok` false).
 */
export async function measureParity(
  model: TrainedModel,
  rows: readonly RawRow[],
  score: (rows: readonly RawRow[]) => Promise<ArrayLike<number>>,
): Promise<ParityReport> {
  const predict = createPredictor(model);
  return compareProbabilities(rows.map(predict), await score(rows));
}
