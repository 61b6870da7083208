import type { FieldError } from '../errors.js';
import { isOptional } from './field.js';
import type { Field } from './field.js';
import type { ModelContract } from './model-contract.js';
import { pointerOf } from './pointer.js';

type Side = 'input' | 'output';

/** `wide` accepts everything that `narrow` accepts. Reasons why not, one per property. */
function whyNotWider(narrow: Field, wide: Field): [keyof Field, string][] {
  const reasons: [keyof Field, string][] = [];
  const widerTypes: Partial<Record<Field['type'], Field['type'][]>> = {
    integer: ['number'],
    categorical: ['string', 'text'],
    string: ['text'],
  };
  if (wide.type !== narrow.type && !widerTypes[narrow.type]?.includes(wide.type))
    reasons.push(['type', `${narrow.type} and ${wide.type} differ`]);
  if (wide.unit !== narrow.unit) reasons.push(['unit', 'the unit differs']);
  if (isOptional(narrow) && !isOptional(wide)) reasons.push(['nullable', 'a value is required']);
  if (wide.min !== undefined && (narrow.min === undefined || wide.min > narrow.min))
    reasons.push(['min', 'the range is narrower']);
  if (wide.max !== undefined && (narrow.max === undefined || wide.max < narrow.max))
    reasons.push(['max', 'the range is narrower']);
  if (
    wide.maxLength !== undefined &&
    (narrow.maxLength === undefined || wide.maxLength < narrow.maxLength)
  )
    reasons.push(['maxLength', 'the length is shorter']);
  if (wide.pattern !== undefined && wide.pattern !== narrow.pattern)
    reasons.push(['pattern', 'the pattern differs']);
  const takesUnknown = wide.onUnknownCategory !== 'reject';
  const hasAll = !wide.enum || narrow.enum?.every((value) => wide.enum?.includes(value));
  if (!takesUnknown && !hasAll) reasons.push(['enum', 'values are missing']);
  if (!takesUnknown && narrow.onUnknownCategory !== 'reject' && wide.enum)
    reasons.push(['onUnknownCategory', 'unknown categories are refused']);
  return reasons;
}

function compareSide(side: Side, before: readonly Field[], after: readonly Field[]): FieldError[] {
  const at = (name: string, key?: string) =>
    pointerOf([side, 'fields', name, ...(key === undefined ? [] : [key])]);
  const next = new Map(after.map((field) => [field.name, field]));
  const known = new Set(before.map(({ name }) => name));
  const breaks: FieldError[] = [];
  for (const old of before) {
    const field = next.get(old.name);
    if (!field) {
      breaks.push({ pointer: at(old.name), code: 'removed', detail: 'the field is gone' });
      continue;
    }
    const reasons = side === 'input' ? whyNotWider(old, field) : whyNotWider(field, old);
    for (const [key, detail] of reasons)
      breaks.push({ pointer: at(old.name, key), code: 'changed', detail });
  }
  for (const field of after) {
    if (known.has(field.name) || (side === 'input' && isOptional(field))) continue;
    const detail = side === 'input' ? 'a new input is required' : 'a new output';
    breaks.push({ pointer: at(field.name), code: 'added', detail });
  }
  return breaks;
}

/**
 * Everything in which a caller of `before` would be broken by `after`; empty means compatible. Compatible are a new
 * optional input, a wider input range or enum, and a narrower output; pointers name fields by name
 * (`/input/fields/age/max`). For outputs the reasons speak of the earlier contract, which must stay the wider one.
 */
export const contractBreaks = (before: ModelContract, after: ModelContract): FieldError[] => [
  ...compareSide('input', before.input.fields, after.input.fields),
  ...compareSide('output', before.output.fields, after.output.fields),
];
