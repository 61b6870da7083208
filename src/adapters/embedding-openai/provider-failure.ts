import { PlatformError } from '../../domain/errors.js';

/** What an answer other than 200 means. `refused`: by its content, so that halves of it may pass. */
export type ProviderFailure =
  { kind: 'refused'; reason: string } | { kind: 'failed'; error: PlatformError };

interface Answer {
  status: number;
  headers: Readonly<Record<string, string>>;
  body: Uint8Array;
}

const longestWaitMs = 3_600_000;

/** Milliseconds of `retry-after-ms` or of `Retry-After` in seconds, at most 1 h; undefined where neither is there. */
function retryAfterMs(headers: Readonly<Record<string, string>>): number | undefined {
  const [ms, seconds] = [headers['retry-after-ms'], headers['retry-after']];
  const said =
    ms !== undefined ? Number(ms) : seconds !== undefined ? Number(seconds) * 1_000 : NaN;
  return Number.isFinite(said) && said >= 0 ? Math.min(Math.ceil(said), longestWaitMs) : undefined;
}

interface ProviderError {
  code: string;
  param: string;
}

/** Code and parameter of the provider's error object; its message may quote the text, so it goes nowhere. */
function errorOf(body: Uint8Array): ProviderError {
  try {
    const parsed = JSON.parse(Buffer.from(body).toString()) as {
      error?: { code?: unknown; type?: unknown; param?: unknown } | null;
    } | null;
    const { code, type, param } = parsed?.error ?? {};
    return {
      code: typeof code === 'string' ? code : typeof type === 'string' ? type : '',
      param: typeof param === 'string' ? param : '',
    };
  } catch {
    return { code: '', param: '' };
  }
}

const inputCodes = /content|context_length|token|string_above|too_long|invalid_input/;
const requestCodes = /model|dimension|encoding|api_key|auth|billing/;

/** Undefined for 200. */
export function failureOfAnswer(answer: Answer): ProviderFailure | undefined {
  const { status } = answer;
  if (status === 200) return undefined;
  const { code, param } = errorOf(answer.body);
  const internal = `status ${status}, code ${code.slice(0, 80)}`;
  const wait = retryAfterMs(answer.headers);
  const extensions = wait === undefined ? {} : { retryAfterMs: wait };
  const failed = (error: PlatformError): ProviderFailure => ({ kind: 'failed', error });
  if (status === 429 && code !== 'insufficient_quota')
    return failed(
      new PlatformError('EMBEDDER_RATE_LIMITED', 'the embedder asks to wait', {
        extensions,
        internal,
      }),
    );
  if (status >= 500 || status === 408 || status === 409)
    return failed(
      new PlatformError('EMBEDDER_UNAVAILABLE', `the embedder answered ${status}`, {
        extensions,
        internal,
      }),
    );
  const isAboutRequest = requestCodes.test(code) || (param !== '' && !param.startsWith('input'));
  const mayBeInput = status === 400 || status === 413 || status === 422;
  // A 400 without a code may be either: halving ends at one text, or at every text of a wrong request.
  if (mayBeInput && (inputCodes.test(code) || !isAboutRequest))
    return { kind: 'refused', reason: code === '' ? `status ${status}` : code.slice(0, 80) };
  return failed(
    new PlatformError('EMBEDDER_MISCONFIGURED', `the embedder refuses the request (${status})`, {
      internal,
    }),
  );
}
