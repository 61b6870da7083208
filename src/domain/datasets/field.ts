import { z } from 'zod';
import { isPrototypeKey } from '../prototype-key.js';
import { compileField, hasType } from './field-check.js';
import { whyPatternIsRefused } from './linear-pattern.js';

const scalarSchema = z.union([z.string().max(1000), z.number(), z.boolean()]);
export type Scalar = z.infer<typeof scalarSchema>;

const hasControl = (name: string): boolean => /\p{Cc}/u.test(name);

/** Name of a field: the column header of the source or the key of the inference input. */
export const fieldNameSchema = z
  .string()
  .min(1)
  .max(128)
  .refine((name) => name === name.trim() && !hasControl(name), {
    error: 'has no spaces at its ends and no control characters',
  })
  // No request may hold such a key, so a model with this input could never be asked.
  .refine((name) => !isPrototypeKey(name), { error: 'is a name that no request may hold' });

const fieldShape = z.strictObject({
  name: fieldNameSchema,
  type: z.enum([
    'number',
    'integer',
    'string',
    'boolean',
    'categorical',
    'vector',
    'tensor',
    'text',
    'timestamp',
  ]),
  nullable: z.boolean().default(false),
  min: z.number().optional(),
  max: z.number().optional(),
  enum: z.array(scalarSchema).min(1).max(10_000).optional(),
  maxLength: z.int().min(1).max(1_000_000).optional(),
  pattern: z.string().min(1).max(500).optional(),
  unit: z.string().min(1).max(64).optional(),
  personal: z.enum(['none', 'identifier', 'sensitive', 'protected']).default('none'),
  severity: z.enum(['reject', 'warn']).default('reject'),
  onMissing: z.enum(['reject', 'impute']).default('reject'),
  onUnknownCategory: z.enum(['reject', 'other', 'impute']).default('reject'),
  imputeValue: scalarSchema.optional(),
});

/** A field of a data set or of a model, as parsed: defaults are filled in. */
export type Field = z.infer<typeof fieldShape>;
export type FieldType = Field['type'];

type Complain = (path: PropertyKey[], message: string) => void;

/** What each type can be limited by. */
const limits = {
  number: ['min', 'max', 'enum'],
  integer: ['min', 'max', 'enum'],
  string: ['maxLength', 'pattern', 'enum'],
  boolean: [],
  categorical: ['maxLength', 'pattern', 'enum'],
  vector: ['min', 'max', 'maxLength'],
  tensor: ['min', 'max', 'maxLength'],
  text: ['maxLength', 'pattern'],
  timestamp: ['min', 'max'],
} as const satisfies Record<FieldType, readonly (keyof Field)[]>;

const isText = (type: FieldType): boolean => type === 'string' || type === 'categorical';

function checkLimits(field: Field, complain: Complain): void {
  const allowed: readonly string[] = limits[field.type];
  for (const key of ['min', 'max', 'enum', 'maxLength', 'pattern'] as const) {
    if (field[key] !== undefined && !allowed.includes(key))
      complain([key], `does not apply to type ${field.type}`);
  }
  if (field.min !== undefined && field.max !== undefined && field.min > field.max)
    complain(['min'], 'is greater than max');
  const refused = field.pattern === undefined ? undefined : whyPatternIsRefused(field.pattern);
  if (refused !== undefined) complain(['pattern'], refused);
  for (const [i, value] of (field.enum ?? []).entries()) {
    if (!hasType(field.type, value)) complain(['enum', i], `is not of type ${field.type}`);
    else if (field.enum?.indexOf(value) !== i) complain(['enum', i], 'is listed twice');
  }
}

function checkReplacement(field: Field, complain: Complain): void {
  const imputes = field.onMissing === 'impute' || field.onUnknownCategory === 'impute';
  const value = field.imputeValue;
  if (field.onUnknownCategory !== 'reject' && !isText(field.type))
    complain(['onUnknownCategory'], 'applies to categorical and string only');
  if (value === undefined) {
    if (imputes) complain(['imputeValue'], 'is required by impute');
    return;
  }
  if (!imputes) complain(['imputeValue'], 'is used only with impute');
  if (!hasType(field.type, value)) {
    complain(['imputeValue'], `is not of type ${field.type}`);
    return;
  }
  if (field.pattern !== undefined && whyPatternIsRefused(field.pattern) !== undefined) return;
  const compiled = compileField(field);
  if (compiled.broken(value).length > 0 || !compiled.isKnown(value))
    complain(['imputeValue'], 'breaks the limits of the field');
}

/**
 * Schema of a field, shared by data set contracts and model contracts. `min` and `max` bound numbers, the elements of
 * vectors and tensors, and timestamps (milliseconds since the epoch); `pattern` must match the whole text and cannot
 * backtrack; `nullable` allows a missing value; `onMissing: impute` puts `imputeValue` in its place.
 */
export const fieldSchema = fieldShape.superRefine((field, context) => {
  const complain: Complain = (path, message) => context.addIssue({ code: 'custom', path, message });
  checkLimits(field, complain);
  checkReplacement(field, complain);
});

/** True where a value may be left out: it is nullable, or something else takes its place. */
export const isOptional = (field: Field): boolean => field.nullable || field.onMissing === 'impute';
