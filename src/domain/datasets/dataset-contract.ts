import { z } from 'zod';
import type { FieldError } from '../errors.js';
import { fieldNameSchema, fieldSchema } from './field.js';
import type { Field } from './field.js';
import { hasType } from './field-check.js';
import { fieldErrorsOf } from './pointer.js';

const labelValueSchema = z.union([z.string().max(1000), z.number(), z.boolean()]);

const contractShape = z.strictObject({
  fields: z.array(fieldSchema).min(1).max(2000),
  label: z.strictObject({
    field: fieldNameSchema,
    positive: labelValueSchema,
    map: z.record(z.string().max(1000), labelValueSchema).optional(),
  }),
  keyFields: z.array(fieldNameSchema).max(100).default([]),
  subjectKeyField: fieldNameSchema.optional(),
  eventTimeField: fieldNameSchema.optional(),
});

/** The contract of a data set as parsed: immutable once stored, part of every snapshot id. */
export type DatasetContract = z.infer<typeof contractShape>;

type Complain = (path: PropertyKey[], message: string) => void;

const LABEL_TYPES: readonly Field['type'][] = ['string', 'categorical', 'boolean', 'integer'];

function checkNames(contract: DatasetContract, complain: Complain): void {
  const seen = new Set<string>();
  for (const [i, field] of contract.fields.entries()) {
    if (seen.has(field.name)) complain(['fields', i, 'name'], 'is used by an earlier field');
    seen.add(field.name);
  }
  for (const [i, name] of contract.keyFields.entries()) {
    if (!seen.has(name)) complain(['keyFields', i], 'is not a field of the contract');
    if (contract.keyFields.indexOf(name) !== i) complain(['keyFields', i], 'is listed twice');
  }
  if (contract.subjectKeyField !== undefined && !seen.has(contract.subjectKeyField))
    complain(['subjectKeyField'], 'is not a field of the contract');
}

function checkEventTime(contract: DatasetContract, complain: Complain): void {
  if (contract.eventTimeField === undefined) return;
  const field = contract.fields.find(({ name }) => name === contract.eventTimeField);
  if (!field) complain(['eventTimeField'], 'is not a field of the contract');
  else if (field.type !== 'timestamp') complain(['eventTimeField'], 'is not of type timestamp');
}

function checkLabel(contract: DatasetContract, complain: Complain): void {
  const { label } = contract;
  const at = contract.fields.findIndex(({ name }) => name === label.field);
  const field = contract.fields[at];
  if (!field) {
    complain(['label', 'field'], 'is not a field of the contract');
    return;
  }
  if (!LABEL_TYPES.includes(field.type)) {
    complain(['fields', at, 'type'], `a label is one of ${LABEL_TYPES.join(', ')}`);
    return;
  }
  if (field.nullable) complain(['fields', at, 'nullable'], 'a label cannot be missing');
  if (field.onMissing === 'impute')
    complain(['fields', at, 'onMissing'], 'a label cannot be imputed');
  if (field.severity === 'warn')
    complain(['fields', at, 'severity'], 'a wrong label must reject the row');
  if (field.personal === 'identifier' || label.field === contract.subjectKeyField)
    complain(['label', 'field'], 'cannot be an identifier');
  const fits = (value: unknown): boolean =>
    hasType(field.type, value) && (!field.enum || field.enum.some((known) => known === value));
  if (!fits(label.positive)) complain(['label', 'positive'], 'is not a value of the label field');
  for (const [from, to] of Object.entries(label.map ?? {})) {
    if (!fits(to)) complain(['label', 'map', from], 'is not a value of the label field');
  }
}

/**
 * Schema of a data set contract. `label.map` rewrites raw label cells (after trimming) before they are checked;
 * a raw value that it does not name is taken as it is. All rows must have a label.
 */
export const datasetContractSchema = contractShape.superRefine((contract, context) => {
  const complain: Complain = (path, message) => context.addIssue({ code: 'custom', path, message });
  checkNames(contract, complain);
  checkEventTime(contract, complain);
  checkLabel(contract, complain);
});

/** Parses a contract body; `errors` names every wrong field by pointer (the caller answers `CONTRACT_INVALID`). */
export function parseDatasetContract(
  body: unknown,
): { ok: true; contract: DatasetContract } | { ok: false; errors: FieldError[] } {
  const parsed = datasetContractSchema.safeParse(body);
  return parsed.success
    ? { ok: true, contract: parsed.data }
    : { ok: false, errors: fieldErrorsOf(parsed.error) };
}

/** Columns that a source must have: fields that may neither be null nor be imputed. */
export const requiredColumns = (contract: DatasetContract): string[] =>
  contract.fields
    .filter((field) => !field.nullable && field.onMissing !== 'impute')
    .map(({ name }) => name);
