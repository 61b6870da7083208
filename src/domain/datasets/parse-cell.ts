import type { FieldType } from './field.js';
import { hasType, parseTimestamp } from './field-check.js';
import type { FieldValue } from './field-check.js';

/** What a reader hands over for one cell: text (CSV), JSON, or a Parquet value (bigint, Date). */
export type RawCell = unknown;

/** A cell that has no value of the asked type. */
export const unparseable = Symbol('unparseable');

const DECIMAL = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/;

function toNumber(cell: RawCell): number {
  if (typeof cell === 'number') return cell;
  if (typeof cell === 'bigint') return Number.isSafeInteger(Number(cell)) ? Number(cell) : NaN;
  if (typeof cell === 'string' && DECIMAL.test(cell)) return Number(cell);
  return NaN;
}

function toBoolean(cell: RawCell): boolean | typeof unparseable {
  if (typeof cell === 'boolean') return cell;
  const text = toText(cell);
  if (text === unparseable) return unparseable;
  if (/^(?:true|1)$/i.test(text)) return true;
  return /^(?:false|0)$/i.test(text) ? false : unparseable;
}

function toText(cell: RawCell): string | typeof unparseable {
  if (typeof cell === 'string') return cell;
  if (typeof cell === 'number' && Number.isFinite(cell)) return String(cell);
  if (typeof cell === 'bigint' || typeof cell === 'boolean') return String(cell);
  return unparseable;
}

function toInstant(cell: RawCell): string | typeof unparseable {
  if (typeof cell === 'string') return parseTimestamp(cell) ?? unparseable;
  const ms = cell instanceof Date ? cell.getTime() : cell;
  if (typeof ms !== 'number' || !Number.isInteger(ms) || Math.abs(ms) > 8.64e15) return unparseable;
  return new Date(ms).toISOString();
}

function toList(cell: RawCell): unknown {
  if (typeof cell !== 'string') {
    return ArrayBuffer.isView(cell) ? Array.from(cell as unknown as ArrayLike<unknown>) : cell;
  }
  try {
    return JSON.parse(cell);
  } catch {
    return unparseable;
  }
}

/**
 * The value of a present cell in a field's type, or {@link unparseable}. Text is read as CSV writes it; typed cells
 * keep their value, so that one row gives one value in every source format. Numbers become text where the field is
 * text; a number in a timestamp field is milliseconds since the epoch; integers beyond 2^53 − 1 are refused.
 */
export function parseCell(type: FieldType, cell: RawCell): FieldValue | typeof unparseable {
  let value: unknown;
  switch (type) {
    case 'number':
    case 'integer':
      value = toNumber(cell);
      break;
    case 'boolean':
      value = toBoolean(cell);
      break;
    case 'string':
    case 'categorical':
    case 'text':
      value = toText(cell);
      break;
    case 'timestamp':
      value = toInstant(cell);
      break;
    case 'vector':
    case 'tensor':
      value = toList(cell);
      break;
  }
  if (!hasType(type, value)) return unparseable;
  return value === 0 ? 0 : value;
}
