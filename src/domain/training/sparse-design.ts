import { applyStandard, type StandardisedColumn } from './standardise-column.js';
import type { TrainingTable } from './training-table.js';

/**
 * Rows of the linear trainer. Column 0 is the intercept, columns 1 … denseCount are standardised numbers, then one
 * column per category. `dense` is n × denseCount, `sparse` n × sparseCount (column of the row's category, −1 unknown),
 * both row-major.
 */
export interface SparseDesign {
  dense: Float64Array;
  sparse: Int32Array;
  denseCount: number;
  sparseCount: number;
}

/** Lays a table out for the linear trainer; `scales` belong to the training table's numeric columns, in order. */
export function sparseDesign(
  table: TrainingTable,
  scales: readonly StandardisedColumn[],
): SparseDesign {
  const { rowCount, numeric, categorical } = table;
  const denseCount = numeric.length;
  const sparseCount = categorical.length;
  const dense = new Float64Array(rowCount * denseCount);
  for (const [k, { values }] of numeric.entries()) {
    const scale = scales[k];
    if (scale === undefined) continue;
    const z = applyStandard(values, scale);
    for (let i = 0; i < rowCount; i++) dense[i * denseCount + k] = z[i] ?? 0;
  }
  const sparse = new Int32Array(rowCount * sparseCount);
  let offset = 1 + denseCount;
  for (const [k, { codes, categories }] of categorical.entries()) {
    for (let i = 0; i < rowCount; i++) {
      const code = codes[i] ?? -1;
      sparse[i * sparseCount + k] = code < 0 ? -1 : offset + code;
    }
    offset += categories.length;
  }
  return { dense, sparse, denseCount, sparseCount };
}
