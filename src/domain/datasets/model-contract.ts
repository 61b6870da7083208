import { z } from 'zod';
import type { FieldError } from '../errors.js';
import { fieldSchema } from './field.js';
import type { Field } from './field.js';
import { fieldErrorsOf, pointerOf } from './pointer.js';

const fieldsSchema = z.array(fieldSchema).min(1).max(2000);

const checkDuplicates = (fields: readonly Field[]): number[] =>
  fields.flatMap((field, i) =>
    fields.findIndex(({ name }) => name === field.name) === i ? [] : [i],
  );

const sideSchema = z.strictObject({
  fields: fieldsSchema.superRefine((fields, context) => {
    for (const i of checkDuplicates(fields))
      context.addIssue({
        code: 'custom',
        path: [i, 'name'],
        message: 'is used by an earlier field',
      });
  }),
});

/** Schema of a model version's contract: what it takes and what it answers. Both sides are required. */
export const modelContractSchema = z.strictObject({ input: sideSchema, output: sideSchema });

/** The contract of a model version as parsed. */
export type ModelContract = z.infer<typeof modelContractSchema>;

/** Parses a model contract; `errors` names every wrong field below `pointerPrefix`. */
export function parseModelContract(
  body: unknown,
  pointerPrefix: readonly PropertyKey[] = [],
): { ok: true; contract: ModelContract } | { ok: false; errors: FieldError[] } {
  const parsed = modelContractSchema.safeParse(body);
  if (parsed.success) return { ok: true, contract: parsed.data };
  const prefix = pointerOf(pointerPrefix);
  return {
    ok: false,
    errors: fieldErrorsOf(parsed.error).map((error) => ({
      ...error,
      pointer: prefix + error.pointer,
    })),
  };
}
