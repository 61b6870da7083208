import type { z } from 'zod';
import { PlatformError } from '../domain/errors.js';
import { fieldErrors } from './problem.js';
import { jsonOf } from './read-json.js';

const PREFIX = ['options'];

/** The field `options` of an upload's form. @throws INVALID_REQUEST with every wrong field below `/options` */
export function parseUploadOptions<T>(schema: z.ZodType<T>, text: string): T {
  const parsed = schema.safeParse(jsonOf(Buffer.from(text), PREFIX));
  if (parsed.success) return parsed.data;
  const errors = fieldErrors(parsed.error, PREFIX);
  throw new PlatformError('INVALID_REQUEST', `Wrong fields of the request: ${errors.length}.`, {
    errors,
  });
}
