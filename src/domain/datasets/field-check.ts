import type { Field } from './field.js';
import { compilePattern } from './linear-pattern.js';

/** Numbers in nested lists: a vector (one level) or a tensor (rectangular, row-major). */
type NumberList = (number | NumberList)[];

/** A parsed value of a field; a timestamp is ISO 8601 UTC text with milliseconds. */
export type FieldValue = string | number | boolean | null | NumberList;

/** What a value can do wrong, and what a row can do wrong before it has values. */
export type RuleId =
  | 'missing'
  | 'type'
  | 'min'
  | 'max'
  | 'enum'
  | 'max_length'
  | 'pattern'
  | 'unknown_field'
  | 'ragged'
  | 'encoding'
  | 'unparseable'
  | 'consent';

/** One broken rule. The detail names the limit, never the value, so that it can be logged. */
export interface BrokenRule {
  rule: RuleId;
  detail?: string | undefined;
}

/** The category that stands for every unknown one where a field says `onUnknownCategory: other`. */
export const OTHER_CATEGORY = '__other__';

/** A field ready to check values: built once per contract. */
export interface CompiledField {
  field: Field;
  /** All rules that a typed, present value breaks; empty if none. Does not look at `enum`. */
  broken(value: FieldValue): BrokenRule[];
  /** False if the field has an enum and the value is not in it. */
  isKnown(value: FieldValue): boolean;
}

const isLine = (values: readonly unknown[]): boolean =>
  values.every((value) => typeof value === 'number' && Number.isFinite(value));

const shapeOf = (value: unknown): string | undefined => {
  if (typeof value === 'number') return Number.isFinite(value) ? '' : undefined;
  if (!Array.isArray(value)) return undefined;
  const shapes = new Set(value.map(shapeOf));
  const [only] = shapes;
  if (value.length === 0) return '0';
  return shapes.size === 1 && only !== undefined ? `${value.length}x${only}` : undefined;
};

const leaves = (value: FieldValue): number[] => {
  if (typeof value === 'number') return [value];
  return Array.isArray(value) ? value.flatMap(leaves) : [];
};

/** True for text that every store keeps as it is: no lone surrogate, no NUL (a runtime cuts a string there). */
const isCleanText = (text: string): boolean => text.isWellFormed() && !text.includes('\u0000');

const ISO =
  /^(\d{4}-\d{2}-\d{2})(?:[T ](\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?)(Z|[+-]\d{2}:?\d{2})?)?$/;

/**
 * ISO 8601 date or date-time as UTC text with milliseconds, or undefined. Without an offset the time is UTC; digits
 * below the millisecond are cut. A day that does not exist (30 February) is refused.
 */
export function parseTimestamp(text: string): string | undefined {
  const match = ISO.exec(text);
  const day = match?.[1];
  if (!match || day === undefined) return undefined;
  const midnight = Date.parse(`${day}T00:00:00Z`);
  if (Number.isNaN(midnight) || new Date(midnight).toISOString().slice(0, 10) !== day)
    return undefined;
  const time = (match[2] ?? '00:00').replace(/(\.\d{3})\d+$/, '$1');
  const ms = Date.parse(`${day}T${time}${match[3] ?? 'Z'}`);
  return Number.isNaN(ms) ? undefined : new Date(ms).toISOString();
}

/** True if a value has the type of the field (null has none). */
export function hasType(type: Field['type'], value: unknown): value is FieldValue {
  switch (type) {
    case 'number':
      return typeof value === 'number' && Number.isFinite(value);
    case 'integer':
      return typeof value === 'number' && Number.isSafeInteger(value);
    case 'boolean':
      return typeof value === 'boolean';
    case 'string':
    case 'categorical':
    case 'text':
      return typeof value === 'string' && isCleanText(value);
    case 'timestamp':
      return typeof value === 'string' && parseTimestamp(value) !== undefined;
    case 'vector':
      return Array.isArray(value) && isLine(value);
    case 'tensor':
      return Array.isArray(value) && shapeOf(value) !== undefined;
  }
}

const lengthOf = (value: FieldValue): number =>
  typeof value === 'string' ? value.length : leaves(value).length;

/** Compiles one field. `maxLength` counts UTF-16 units of text and elements of vectors and tensors. */
export function compileField(field: Field): CompiledField {
  const { type, min, max, maxLength } = field;
  const pattern = field.pattern === undefined ? undefined : compilePattern(field.pattern);
  const known = field.enum && new Set<FieldValue>(field.enum);
  const numbers = (value: FieldValue): number[] =>
    type === 'timestamp' ? [Date.parse(String(value))] : leaves(value);
  const outside = (value: FieldValue): BrokenRule[] => {
    if (min === undefined && max === undefined) return [];
    const all = numbers(value);
    const broken: BrokenRule[] = [];
    if (min !== undefined && all.some((n) => n < min))
      broken.push({ rule: 'min', detail: `must be at least ${min}` });
    if (max !== undefined && all.some((n) => n > max))
      broken.push({ rule: 'max', detail: `must be at most ${max}` });
    return broken;
  };
  return {
    field,
    broken(value) {
      const broken = outside(value);
      if (maxLength !== undefined && lengthOf(value) > maxLength)
        broken.push({ rule: 'max_length', detail: `must have at most ${maxLength}` });
      if (pattern && typeof value === 'string' && !pattern.test(value))
        broken.push({ rule: 'pattern', detail: 'must match the pattern of the contract' });
      return broken;
    },
    isKnown: (value) => !known || known.has(value),
  };
}

/** The sentence that says which type is asked for. */
export const typeDetail = (type: Field['type']): string =>
  ({
    number: 'must be a finite number',
    integer: 'must be an integer of at most 2^53 − 1',
    boolean: 'must be true or false',
    string: 'must be text without NUL',
    categorical: 'must be text without NUL',
    text: 'must be text without NUL',
    timestamp: 'must be an ISO 8601 date or date-time',
    vector: 'must be a list of finite numbers',
    tensor: 'must be rectangular nested lists of finite numbers',
  })[type];
