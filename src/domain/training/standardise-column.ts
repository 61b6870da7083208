import { inputNumber } from './trained-model.js';
import type { NumericColumn } from './training-table.js';

// Beyond it float32 holds no longer every integer.
const FLOAT32_EXACT = 2 ** 24;
// A float32 offset of `mean` is off by up to |mean| · 2⁻²⁵; sixteen deviations keep that below 5·10⁻⁷ deviations.
const MEAN_IN_DEVIATIONS = 16;

/** A numeric column on the scale of the linear trainer: z = (x − mean) / deviation. */
export interface StandardisedColumn {
  /** How x enters the model: numbers as large as epoch milliseconds need float64 up to z. */
  input: 'float' | 'double';
  mean: number;
  /** Population deviation; 1 for a constant column, whose z is then 0. */
  deviation: number;
  z: Float64Array;
}

function momentsOf(values: Float64Array): { mean: number; deviation: number } {
  let sum = 0;
  for (const value of values) sum += value;
  const mean = sum / values.length;
  let squares = 0;
  for (const value of values) squares += (value - mean) ** 2;
  const deviation = Math.sqrt(squares / values.length);
  return { mean, deviation: deviation > 0 ? deviation : 1 };
}

/** z of given values; x is rounded to float32 first unless the field enters as double. */
export function applyStandard(
  values: Float64Array,
  scale: Omit<StandardisedColumn, 'z'>,
): Float64Array {
  return values.map((x) => (inputNumber(x, scale.input) - scale.mean) / scale.deviation);
}

/** Training mean and population deviation of a column, and the column on that scale. */
export function standardiseColumn({ values }: NumericColumn): StandardisedColumn {
  let largest = 0;
  for (const value of values) largest = Math.max(largest, Math.abs(value));
  const rounded = values.map(Math.fround);
  const { mean, deviation } = momentsOf(rounded);
  const float = largest < FLOAT32_EXACT && Math.abs(mean) <= MEAN_IN_DEVIATIONS * deviation;
  const scale = float
    ? { input: 'float' as const, mean, deviation }
    : { input: 'double' as const, ...momentsOf(values) };
  return { ...scale, z: applyStandard(values, scale) };
}
