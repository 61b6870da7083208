import type { Request, Response } from 'express';
import { z } from 'zod';
import { PlatformError } from '../domain/errors.js';
import { fieldErrors } from './problem.js';
import { holdsBody, jsonOf, readJsonBytes, type BodyLimits } from './read-json.js';
import { mutates, type Route } from './route.js';

const DEFAULT_BODY_BYTES = 262_144;
const DEFAULT_BODY_DEADLINE_MS = 30_000;

/** What a route that declares no query, or no body, takes of one. */
const nothing = z.strictObject({});

/** What the JSON body of a route may take. */
export const bodyLimitsOf = ({ bodyLimitBytes, bodyDeadlineMs }: Route['spec']): BodyLimits => ({
  bytes: bodyLimitBytes ?? DEFAULT_BODY_BYTES,
  deadlineMs: bodyDeadlineMs ?? DEFAULT_BODY_DEADLINE_MS,
});

/** What a request is parsed with. */
interface ParseContext {
  spec: Route['spec'];
  /** The body that proved who sent it. */
  signedBytes: Uint8Array | undefined;
  /** Called when the body is here, before anything is made of it. @throws what the request is refused with */
  arrived: () => void;
}

/** The bytes that hold the JSON of a request: those that proved who sent it, or read now. Undefined where there are none. */
async function bytesOf(
  request: Request,
  response: Response,
  { spec, signedBytes }: ParseContext,
): Promise<Uint8Array | undefined> {
  if (spec.upload !== undefined) return undefined;
  if (signedBytes !== undefined) return signedBytes;
  if (mutates(spec)) return readJsonBytes(request, response, bodyLimitsOf(spec));
  // Nothing says what a body of GET would mean, so none is read (RFC 9110 §9.3.1).
  if (!holdsBody(request)) return undefined;
  throw new PlatformError('INVALID_REQUEST', 'This operation takes no request body.', {
    errors: [{ pointer: '', code: 'unexpected_body', detail: 'GET and HEAD have no body' }],
  });
}

/**
 * Parses path, query and body; every wrong field of all three is named at once, and what a route does not declare is wrong.
 * @throws INVALID_REQUEST with a pointer each; NOT_FOUND where a path to read cannot exist; as {@link readJsonBytes} and {@link jsonOf}
 */
export async function parseRequest(request: Request, response: Response, context: ParseContext) {
  const { spec } = context;
  const params = spec.params?.safeParse(request.params) ?? { success: true as const, data: {} };
  if (!params.success && !mutates(spec)) {
    throw new PlatformError('NOT_FOUND', 'There is nothing of this id here.');
  }
  const query = (spec.query ?? nothing).safeParse(request.query);
  const bytes = await bytesOf(request, response, context);
  context.arrived();
  const content = bytes === undefined ? undefined : jsonOf(bytes);
  const body = (spec.body ?? nothing).safeParse(content === undefined ? {} : content);
  const errors = [
    ...(params.success ? [] : fieldErrors(params.error, ['path'])),
    ...(query.success ? [] : fieldErrors(query.error, ['query'])),
    ...(body.success ? [] : fieldErrors(body.error)),
  ];
  if (errors.length > 0) {
    throw new PlatformError('INVALID_REQUEST', `Wrong fields of the request: ${errors.length}.`, {
      errors,
    });
  }
  // Without a declared body, `{}` and nothing are the same request.
  const declared = spec.body === undefined ? {} : { body: body.data, content };
  return { params: params.data, query: query.data ?? {}, ...declared };
}
