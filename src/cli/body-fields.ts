import { z } from 'zod';
import { wrapText } from './knowledge/wrap-text.js';

const fieldSchema = z.looseObject({
  type: z.string().optional(),
  enum: z.array(z.unknown()).optional(),
  const: z.union([z.string(), z.number(), z.boolean()]).optional(),
  anyOf: z.array(z.unknown()).optional(),
  oneOf: z.array(z.unknown()).optional(),
  items: z.unknown().optional(),
  properties: z.record(z.string(), z.unknown()).optional(),
  required: z.array(z.string()).default([]),
  description: z.string().optional(),
  default: z.unknown().optional(),
  minLength: z.number().optional(),
  minimum: z.number().optional(),
});
type Field = z.infer<typeof fieldSchema>;

/** A field of a body as `--help` shows it. */
export interface BodyField {
  name: string;
  required: boolean;
  /** Its type, bounds, default and description in words. */
  text: string;
}

/** Looks a `$ref` up in the document; anything else is answered as it is. */
type Resolve = (schema: unknown) => unknown;

const words: Record<string, string> = { string: 'text', integer: 'whole number', array: 'list' };
/** A list of values or fields that is longer says nothing more at a glance. */
const MANY = 12;

const some = (names: readonly string[], between: string): string =>
  names.length > MANY ? [...names.slice(0, MANY), '…'].join(between) : names.join(between);

function typeText(field: Field, resolve: Resolve): string {
  const read = (schema: unknown): Field => fieldSchema.parse(resolve(schema) ?? {});
  if (field.enum !== undefined) return some(field.enum.map(String), ' | ');
  if (field.const !== undefined) return String(field.const);
  const variants = [...(field.anyOf ?? []), ...(field.oneOf ?? [])];
  if (variants.length > 0)
    return [...new Set(variants.map((variant) => typeText(read(variant), resolve)))].join(' or ');
  if (field.type === 'array') return `list of ${typeText(read(field.items), resolve)}`;
  if (field.properties === undefined) return words[field.type ?? ''] ?? field.type ?? 'any value';
  const { required } = field;
  const names = Object.keys(field.properties).map((name) =>
    required.includes(name) ? `${name}*` : name,
  );
  return `{ ${some(names, ', ')} }`;
}

function textOf(field: Field, resolve: Resolve): string {
  const { minLength = 0, minimum, default: value, description } = field;
  const isPlain = ['string', 'number', 'boolean'].includes(typeof value) && value !== '';
  return [
    typeText(field, resolve),
    ...(minLength > 1 ? [`at least ${minLength} characters`] : []),
    ...(minimum !== undefined && minimum > 1 ? [`at least ${minimum}`] : []),
    ...(isPlain ? [`default ${JSON.stringify(value)}`] : []),
    ...(description === undefined ? [] : [description]),
  ].join('; ');
}

/** The fields of a body, those that must be given first. */
export function bodyFieldsOf(schema: unknown, resolve: Resolve): BodyField[] {
  const { properties = {}, required } = fieldSchema.parse(resolve(schema) ?? {});
  return Object.entries(properties)
    .map(([name, field]) => ({
      name,
      required: required.includes(name),
      text: textOf(fieldSchema.parse(resolve(field) ?? {}), resolve),
    }))
    .sort((a, b) => Number(b.required) - Number(a.required));
}

/** The fields as lines of at most `columns`. */
export function renderFields(fields: readonly BodyField[], columns: number): string[] {
  const nameOf = ({ name, required }: BodyField) => (required ? `${name}*` : name);
  const width = Math.max(0, ...fields.map((field) => nameOf(field).length));
  return fields.flatMap((field) => {
    const [first = '', ...more] = wrapText(field.text, columns - width - 4);
    return [
      `  ${nameOf(field).padEnd(width)}  ${first}`,
      ...more.map((line) => `${' '.repeat(width + 4)}${line}`),
    ];
  });
}
