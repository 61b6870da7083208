import type { z } from 'zod';
import type { FieldError } from '../errors.js';

/** RFC 6901 pointer of a path: `['a/b', 0]` → `/a~1b/0`; the empty path is the empty string. */
export const pointerOf = (path: readonly PropertyKey[]): string =>
  path.map((key) => `/${String(key).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');

/** Every issue of a failed parse as a wrong field: pointer, zod's issue code and its message. */
export const fieldErrorsOf = (error: z.ZodError): FieldError[] =>
  error.issues.flatMap((issue) =>
    issue.code === 'unrecognized_keys'
      ? issue.keys.map((key) => ({
          pointer: pointerOf([...issue.path, key]),
          code: 'unknown_field',
          detail: 'is not a known field',
        }))
      : [{ pointer: pointerOf(issue.path), code: issue.code, detail: issue.message }],
  );
