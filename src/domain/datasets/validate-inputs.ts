import type { FieldError } from '../errors.js';
import {
  compileField,
  hasType,
  OTHER_CATEGORY,
  parseTimestamp,
  typeDetail,
} from './field-check.js';
import type { BrokenRule, CompiledField, FieldValue } from './field-check.js';
import type { Field } from './field.js';
import { pointerOf } from './pointer.js';

/** Most violations that one answer names. */
const MAX_VIOLATIONS = 100;

/** A value that the contract replaced or only warns about. */
interface InputWarning {
  pointer: string;
  code: 'imputed' | 'other_category' | BrokenRule['rule'];
  detail?: string | undefined;
}

/** Inputs as the model gets them, one value per contract field; or every violation (≤ 100). */
type InputsOutcome =
  | { ok: true; values: Record<string, FieldValue>; warnings: InputWarning[] }
  | { ok: false; errors: FieldError[]; truncated: boolean };

export type InputsValidator = (inputs: unknown) => InputsOutcome;

interface Sink {
  errors: FieldError[];
  warnings: InputWarning[];
}

const error = (pointer: string, { rule, detail }: BrokenRule): FieldError => ({
  pointer,
  code: rule,
  ...(detail === undefined ? {} : { detail }),
});

function whenMissing(field: Field, pointer: string, sink: Sink): FieldValue {
  if (field.onMissing === 'impute' && field.imputeValue !== undefined) {
    sink.warnings.push({ pointer, code: 'imputed', detail: 'was missing and has been imputed' });
    return field.imputeValue;
  }
  if (!field.nullable)
    sink.errors.push(error(pointer, { rule: 'missing', detail: 'must have a value' }));
  return null;
}

function whenUnknown(field: Field, pointer: string, sink: Sink): FieldValue {
  if (field.onUnknownCategory === 'other') {
    sink.warnings.push({ pointer, code: 'other_category', detail: 'is an unknown category' });
    return OTHER_CATEGORY;
  }
  sink.warnings.push({ pointer, code: 'imputed', detail: 'was an unknown category' });
  return field.imputeValue ?? null;
}

function checkOne(compiled: CompiledField, value: unknown, at: Sink & { pointer: string }) {
  const { field } = compiled;
  const { pointer } = at;
  if (value === undefined || value === null) return whenMissing(field, pointer, at);
  if (!hasType(field.type, value)) {
    at.errors.push(error(pointer, { rule: 'type', detail: typeDetail(field.type) }));
    return null;
  }
  const broken = compiled.broken(value);
  const isKnown = compiled.isKnown(value);
  if (!isKnown && field.onUnknownCategory !== 'reject') return whenUnknown(field, pointer, at);
  if (!isKnown) broken.push({ rule: 'enum', detail: 'must be one of the values of the contract' });
  for (const one of broken) {
    if (field.severity === 'warn')
      at.warnings.push({ pointer, code: one.rule, detail: one.detail });
    else at.errors.push(error(pointer, one));
  }
  if (field.type === 'timestamp' && typeof value === 'string')
    return parseTimestamp(value) ?? value;
  return value === 0 ? 0 : value;
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/**
 * Compiles the fields of a contract once into a check of JSON values. Every violation is named by pointer, at most
 * 100 (`truncated` says that there were more); unknown keys are refused; what is imputed is applied and listed in
 * `warnings`. Values are strict JSON: no text is read as a number. No detail repeats a value.
 * @param options.pointer where the object sits in the request, such as `/inputs`
 */
export function compileInputs(
  fields: readonly Field[],
  options: { pointer?: string | undefined } = {},
): InputsValidator {
  const base = options.pointer ?? '';
  const compiled = fields.map((field) => ({
    ...compileField(field),
    pointer: base + pointerOf([field.name]),
  }));
  const names = new Set(fields.map(({ name }) => name));
  return (inputs) => {
    if (!isObject(inputs)) {
      const broken: BrokenRule = { rule: 'type', detail: 'must be an object' };
      return { ok: false, errors: [error(base, broken)], truncated: false };
    }
    const sink: Sink = { errors: [], warnings: [] };
    const values = compiled.map((one): [string, FieldValue] => {
      const { name } = one.field;
      const value = Object.hasOwn(inputs, name) ? inputs[name] : undefined;
      return [name, checkOne(one, value, { ...sink, pointer: one.pointer })];
    });
    for (const key of Object.keys(inputs)) {
      if (sink.errors.length > MAX_VIOLATIONS) break;
      if (!names.has(key))
        sink.errors.push(
          error(base + pointerOf([key]), {
            rule: 'unknown_field',
            detail: 'is not a field of the contract',
          }),
        );
    }
    if (sink.errors.length === 0)
      return { ok: true, values: Object.fromEntries(values), warnings: sink.warnings };
    return {
      ok: false,
      errors: sink.errors.slice(0, MAX_VIOLATIONS),
      truncated: sink.errors.length > MAX_VIOLATIONS,
    };
  };
}

/**
 * Checks what a model answered against the output fields of its contract. Nothing is imputed: a missing output is a
 * violation unless the field is nullable.
 */
export function checkOutput(
  fields: readonly Field[],
  output: unknown,
): { ok: true } | { ok: false; errors: FieldError[] } {
  const strict = fields.map((field): Field => ({
    ...field,
    onMissing: 'reject',
    onUnknownCategory: 'reject',
    severity: 'reject',
  }));
  const outcome = compileInputs(strict)(output);
  return outcome.ok ? { ok: true } : { ok: false, errors: outcome.errors };
}
