import type { z } from 'zod';
import { errorTable, PlatformError, type ErrorCode, type FieldError } from '../domain/errors.js';
import { detailOf } from './detail-of.js';

/** RFC 9457 problem document with the platform's members. */
export interface Problem {
  type: string;
  title: string;
  status: number;
  code: ErrorCode;
  detail: string;
  /** What to do next. */
  next: string;
  requestId: string;
  errors?: FieldError[];
}

const escapeToken = (part: PropertyKey): string =>
  String(part).replaceAll('~', '~0').replaceAll('/', '~1');

/** RFC 6901 pointer of a zod path. */
export const pointerOf = (path: readonly PropertyKey[]): string =>
  path.map((part) => `/${escapeToken(part)}`).join('');

/** Every wrong field of a failed parse, unknown keys one by one. */
export function fieldErrors(error: z.ZodError, prefix: readonly PropertyKey[] = []): FieldError[] {
  return error.issues.flatMap((issue): FieldError[] => {
    const path = [...prefix, ...issue.path];
    if (issue.code === 'unrecognized_keys') {
      return issue.keys.map((key) => ({
        pointer: pointerOf([...path, key]),
        code: 'unknown_key',
        detail: 'this key is not part of the request',
      }));
    }
    return [{ pointer: pointerOf(path), code: issue.code, detail: detailOf(issue) }];
  });
}

/** The problem document of a refusal. Internal text never enters it. */
export function problemOf(error: PlatformError, requestId: string): Problem {
  const facts = errorTable[error.code];
  return {
    ...error.extensions,
    type: `https://anneal.dev/errors/${error.code}`,
    title: error.code.toLowerCase().replaceAll('_', ' '),
    status: facts.status,
    code: error.code,
    detail: error.message,
    next: facts.next,
    requestId,
    ...(error.errors.length > 0 ? { errors: error.errors } : {}),
  };
}

/** Whatever a handler threw, as a PlatformError: unknown errors say nothing of themselves to the caller. */
export function asPlatformError(error: unknown): PlatformError {
  if (error instanceof PlatformError) return error;
  const status = (error as { status?: unknown }).status;
  const type = (error as { type?: unknown }).type;
  if (status === 413)
    return new PlatformError('PAYLOAD_TOO_LARGE', 'The request body is too large.');
  if (status === 415)
    return new PlatformError(
      'UNSUPPORTED_MEDIA_TYPE',
      'This content type or encoding is not supported.',
    );
  if (typeof type === 'string' && status === 400) {
    return new PlatformError('INVALID_REQUEST', 'The request body is not valid JSON.', {
      errors: [{ pointer: '', code: 'invalid_json' }],
    });
  }
  // A path that cannot be decoded, or a body that ended early: what reads requests says so with its status.
  if (status === 400) return new PlatformError('INVALID_REQUEST', 'The request cannot be read.');
  return new PlatformError('INTERNAL', 'Something went wrong on our side.', {
    internal: error instanceof Error ? (error.stack ?? error.message) : String(error),
  });
}
