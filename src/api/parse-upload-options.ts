import type { z } from 'zod';
import { PlatformError } from '../domain/errors.js';
import { fieldErrors } from './problem.js';

/** The field `options` of an upload's form. @throws INVALID_REQUEST with every wrong field below `/options` */
export function parseUploadOptions<T>(schema: z.ZodType<T>, text: string): T {
  let raw: unknown;
  try {
    raw = JSON.parse(text);
  } catch {
    throw new PlatformError('INVALID_REQUEST', 'The field options is not valid JSON.', {
      errors: [{ pointer: '/options', code: 'invalid_json' }],
    });
  }
  const parsed = schema.safeParse(raw);
  if (parsed.success) return parsed.data;
  const errors = fieldErrors(parsed.error, ['options']);
  throw new PlatformError('INVALID_REQUEST', `Wrong fields of the request: ${errors.length}.`, {
    errors,
  });
}
