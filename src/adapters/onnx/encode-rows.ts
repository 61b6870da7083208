import { ProviderFailure } from '../../domain/inference/runtime.js';
import {
  categoryOf,
  numericValue,
  type FeatureType,
  type RawRow,
  type RawValue,
} from '../../domain/training/training-table.js';
import type { ChildColumn } from './child-protocol.js';
import type { ArtifactInput } from './describe-artifact.js';

function numberOf(value: RawValue | undefined, { field, type }: ArtifactInput): number {
  const number =
    typeof value === 'boolean'
      ? Number(value)
      : numericValue(value, (type ?? 'number') as FeatureType);
  // The runtime answers NaN with NaN, in silence.
  if (!Number.isFinite(number))
    throw new ProviderFailure('caller', `${field} is not a number`, { code: 'CONTRACT_VIOLATION' });
  return number;
}

function textOf(value: RawValue | undefined, { field }: ArtifactInput): string {
  const text = categoryOf(value);
  // The runtime cuts a string at NUL, in silence.
  if (text.includes('\0'))
    throw new ProviderFailure('caller', `${field} holds a NUL character`, {
      code: 'CONTRACT_VIOLATION',
    });
  return text;
}

function columnOf(rows: readonly RawRow[], input: ArtifactInput): ChildColumn {
  const number = (row: RawRow): number => numberOf(row[input.field], input);
  switch (input.kind) {
    case 'string':
      return rows.map((row) => textOf(row[input.field], input));
    case 'float':
      return Float32Array.from(rows, number);
    case 'double':
      return Float64Array.from(rows, number);
    case 'int32':
      return Int32Array.from(rows, number);
    case 'int64':
      return BigInt64Array.from(rows, (row) => BigInt(Math.trunc(number(row))));
    case 'bool':
      return Uint8Array.from(rows, (row) => (number(row) === 0 ? 0 : 1));
  }
}

/**
 * Turns raw rows into one column per model input. Fields the model does not read are ignored; a missing category is
 * the empty text. A value that the runtime would misread in silence is a failure of class `caller`.
 */
export const encodeRows = (
  rows: readonly RawRow[],
  inputs: readonly ArtifactInput[],
): ChildColumn[] => inputs.map((input) => columnOf(rows, input));
