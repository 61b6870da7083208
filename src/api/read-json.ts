import { raw, type Request, type Response } from 'express';
import { PlatformError, type FieldError } from '../domain/errors.js';
import { isPrototypeKey } from '../domain/prototype-key.js';
import { isStorable } from './guard-request.js';
import { pointerOf } from './problem.js';

/** Objects and lists inside each other, at most. */
const MAX_DEPTH = 32;
/** Faults that are named; a body of nothing else names enough with these. */
const MAX_FAULTS = 20;

/** What a body may take. */
export interface BodyLimits {
  bytes: number;
  /** To its last byte, in ms. */
  deadlineMs: number;
}

/** True where a request says that a body follows. */
export const holdsBody = (request: Request): boolean =>
  request.get('transfer-encoding') !== undefined || (request.get('content-length') ?? '0') !== '0';

/**
 * The bytes of a body.
 * @throws PAYLOAD_TOO_LARGE, of an announced length before a byte is read; REQUEST_TIMEOUT where the body is not there in time
 */
export const readRaw = (
  request: Request,
  response: Response,
  limits: BodyLimits,
): Promise<Uint8Array> =>
  new Promise((resolve, reject) => {
    // The parser below would read such a body to its end first.
    if (Number(request.get('content-length') ?? 0) > limits.bytes)
      throw new PlatformError('PAYLOAD_TOO_LARGE', 'The request body is too large.');
    const timer = setTimeout(() => {
      // The rest of the body is not waited for: the answer is the last thing on this connection.
      response.set('Connection', 'close').once('finish', () => request.destroy());
      reject(new PlatformError('REQUEST_TIMEOUT', 'The request body did not come in time.'));
    }, limits.deadlineMs);
    raw({ limit: limits.bytes, inflate: false, type: () => true })(
      request,
      response,
      (error?: unknown) => {
        clearTimeout(timer);
        if (error !== undefined)
          reject(error instanceof Error ? error : new Error('unreadable body'));
        else resolve(Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0));
      },
    );
  });

/** Keys that reach prototypes, text that cannot be stored, and what is nested too deep; without recursion. */
function faultsOf(json: unknown, prefix: readonly PropertyKey[]): FieldError[] {
  const faults: FieldError[] = [];
  const open: { value: unknown; path: readonly PropertyKey[] }[] = [{ value: json, path: prefix }];
  const add = (path: readonly PropertyKey[], code: string, detail: string): void =>
    void faults.push({ pointer: pointerOf(path), code, detail });
  for (let next = open.pop(); next && faults.length < MAX_FAULTS; next = open.pop()) {
    const { value, path } = next;
    if (typeof value === 'string' && !isStorable(value))
      add(path, 'invalid_text', 'a NUL character or half a surrogate pair is no text');
    if (typeof value !== 'object' || value === null) continue;
    if (path.length - prefix.length >= MAX_DEPTH) {
      add(path, 'too_deep', `more than ${MAX_DEPTH} objects and lists inside each other`);
      continue;
    }
    for (const [name, child] of Object.entries(value)) {
      const at = [...path, Array.isArray(value) ? Number(name) : name];
      if (isPrototypeKey(name) && !Array.isArray(value))
        add(at, 'forbidden_key', 'this key is never part of a request');
      else if (!isStorable(name)) add(path, 'invalid_text', 'a key is no text');
      else open.push({ value: child, path: at });
    }
  }
  return faults;
}

/**
 * The JSON of bytes that were read already.
 * @param prefix where in the request the JSON stands: nothing for a body, the field of a form for its value
 * @throws INVALID_REQUEST where it is no JSON in UTF-8, or holds what no request may hold
 */
export function jsonOf(bytes: Uint8Array, prefix: readonly PropertyKey[] = []): unknown {
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    const what = prefix.length === 0 ? 'request body' : `field ${prefix.join('.')}`;
    throw new PlatformError('INVALID_REQUEST', `The ${what} is not valid JSON.`, {
      errors: [{ pointer: pointerOf(prefix), code: 'invalid_json' }],
    });
  }
  const errors = faultsOf(json, prefix);
  if (errors.length === 0) return json;
  throw new PlatformError('INVALID_REQUEST', `${errors.length} part(s) of the body are refused.`, {
    errors,
  });
}

/** The bytes of a JSON body; undefined where there are none. @throws UNSUPPORTED_MEDIA_TYPE, and as {@link readRaw} */
export async function readJsonBytes(
  request: Request,
  response: Response,
  limits: BodyLimits,
): Promise<Uint8Array | undefined> {
  if (request.get('content-encoding') !== undefined)
    throw new PlatformError(
      'UNSUPPORTED_MEDIA_TYPE',
      'Compressed request bodies are not accepted.',
    );
  if (!holdsBody(request)) return undefined;
  const charset = /;\s*charset="?([^";]+)/i.exec(request.get('content-type') ?? '')?.[1];
  if (!request.is('json') || (charset !== undefined && charset.toLowerCase() !== 'utf-8'))
    throw new PlatformError(
      'UNSUPPORTED_MEDIA_TYPE',
      'This operation takes application/json in UTF-8.',
    );
  const bytes = await readRaw(request, response, limits);
  return bytes.length === 0 ? undefined : bytes;
}
