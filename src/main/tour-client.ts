import { randomUUID } from 'node:crypto';

/** A reply of the API that is not a success. */
export class RefusedError extends Error {
  readonly status: number;
  readonly body: Record<string, unknown>;
  constructor(what: string, status: number, body: Record<string, unknown>) {
    const { code, detail, errors } = body;
    super(
      `${what}: ${status} ${String(code)}: ${String(detail)} ${errors === undefined ? '' : JSON.stringify(errors)}`,
    );
    this.name = 'RefusedError';
    this.status = status;
    this.body = body;
  }
}

/** A body of the public API, read loosely. */
export type Json = Record<string, unknown>;

/** The public API as one role sees it. */
export interface TourClient {
  get: (path: string) => Promise<Json>;
  post: (path: string, body: object, headers?: Record<string, string>) => Promise<Json>;
  put: (path: string, body: object) => Promise<Json>;
  upload: (path: string, options: object, file: { name: string; bytes: Buffer }) => Promise<Json>;
  /** Follows a resource until it is in one of the states; fails where it ends in another final one. */
  follow: (path: string, states: readonly string[], timeoutMs?: number) => Promise<Json>;
}

const POLL_MS = 100;
const FOLLOW_MS = 120_000;
const FAILED = new Set([
  'FAILED',
  'CANCELLED',
  'DISCARDED',
  'REJECTED',
  'REJECTED_INPUT',
  'BUDGET_EXCEEDED',
  'EXPIRED',
  'ROLLED_BACK',
  'ABORTED',
  'INVALIDATED',
  'QUARANTINED',
]);

const stateOf = (body: Json): string => String(body.state ?? body.status);

/** A client of the API at `baseUrl` with one key. */
export function createTourClient(baseUrl: string, key: string): TourClient {
  const call = async (
    method: string,
    path: string,
    init: { body?: string | FormData; headers?: Record<string, string> } = {},
  ): Promise<Json> => {
    const response = await fetch(`${baseUrl}${path}`, {
      method,
      headers: {
        authorization: `Bearer ${key}`,
        ...(method === 'GET' ? {} : { 'idempotency-key': randomUUID(), prefer: 'wait=30' }),
        ...init.headers,
      },
      ...(init.body === undefined ? {} : { body: init.body }),
    });
    const body = (await response.json()) as Json;
    if (!response.ok) throw new RefusedError(`${method} ${path}`, response.status, body);
    return body;
  };
  const get = (path: string) => call('GET', path);
  const sendJson = (
    method: string,
    path: string,
    content: { body: object; headers?: Record<string, string> },
  ) =>
    call(method, path, {
      body: JSON.stringify(content.body),
      headers: { 'content-type': 'application/json', ...content.headers },
    });
  return {
    get,
    post: (path, body, headers) =>
      sendJson('POST', path, { body, ...(headers === undefined ? {} : { headers }) }),
    put: (path, body) => sendJson('PUT', path, { body }),
    upload: (path, options, file) => {
      const form = new FormData();
      form.append('options', JSON.stringify(options));
      form.append('file', new Blob([new Uint8Array(file.bytes)]), file.name);
      return call('POST', path, { body: form });
    },
    follow: async (path, states, timeoutMs = FOLLOW_MS) => {
      const deadline = performance.now() + timeoutMs;
      for (;;) {
        const body = await get(path);
        if (states.includes(stateOf(body))) return body;
        if (FAILED.has(stateOf(body)))
          throw new Error(
            `${path} ended as ${stateOf(body)}: ${JSON.stringify(body.failure ?? body.reason ?? '')}`,
          );
        if (performance.now() > deadline)
          throw new Error(`${path} is still ${stateOf(body)} after ${timeoutMs} ms`);
        await new Promise((resolve) => setTimeout(resolve, POLL_MS));
      }
    },
  };
}
