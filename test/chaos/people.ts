import { randomUUID } from 'node:crypto';
import { pause } from '../support/pause.js';

/** An answer that is not a success; status 0: there was none. */
export class ApiError extends Error {
  readonly status: number;
  readonly code: string;
  /** The problem document, where there is one. */
  readonly body: Record<string, unknown>;
  constructor(what: string, status: number, body: string) {
    super(`${what}: ${status} ${body.slice(0, 500)}`);
    this.status = status;
    this.code = /"code":"([A-Z_]+)"/.exec(body)?.[1] ?? '';
    this.body = body.startsWith('{') ? (JSON.parse(body) as Record<string, unknown>) : {};
  }
}

export interface Call {
  method: string;
  path: string;
  body?: object | FormData | string | undefined;
  headers?: Record<string, string> | undefined;
  idempotencyKey?: string | undefined;
}

const CALL_MS = 20_000;

/** One call of the API. @throws ApiError */
export async function callApi(
  baseUrl: string,
  key: string | undefined,
  call: Call,
): Promise<unknown> {
  const { method, path, body, headers = {} } = call;
  const isForm = body instanceof FormData;
  const sent =
    body === undefined || isForm || typeof body === 'string' ? body : JSON.stringify(body);
  let status = 0;
  let text: string;
  try {
    const response = await fetch(`${baseUrl}${path}`, {
      method,
      headers: {
        ...(key === undefined ? {} : { authorization: `Bearer ${key}` }),
        ...(method === 'GET' ? {} : { 'idempotency-key': call.idempotencyKey ?? randomUUID() }),
        ...(body === undefined || isForm ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(sent === undefined ? {} : { body: sent }),
      signal: AbortSignal.timeout(CALL_MS),
    });
    ({ status } = response);
    text = await response.text();
  } catch (error) {
    throw new ApiError(`${method} ${path}`, 0, String(error));
  }
  if (status >= 400) throw new ApiError(`${method} ${path}`, status, text);
  return text === '' ? {} : (JSON.parse(text) as unknown);
}

/** Whether asking again may help: no answer, a server that is not well, or one that is busy. */
export const isPassing = (error: unknown): boolean =>
  error instanceof ApiError && (error.status === 0 || error.status === 429 || error.status >= 500);

/** Repeats a call like a client that wants its answer: with the same key, until there is one. */
export async function insist<T>(
  ask: () => Promise<T>,
  again: (error: unknown) => boolean = isPassing,
  patienceMs = 120_000,
): Promise<T> {
  const deadline = performance.now() + patienceMs;
  for (;;) {
    try {
      return await ask();
    } catch (error) {
      if (!again(error) || performance.now() > deadline) throw error;
      await pause(150);
    }
  }
}
