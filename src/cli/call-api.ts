import type { CliDeps } from './cli-deps.js';

/** Where requests go and who sends them. */
export interface ApiTarget {
  apiUrl: string;
  apiKey: string;
}

/** One request to the platform. */
export interface ApiRequest {
  method: string;
  /** Path and query. */
  path: string;
  headers?: Record<string, string>;
  body?: string | FormData;
}

/** A parsed answer; `body` is undefined where there was none. */
export interface ApiAnswer {
  status: number;
  body: unknown;
}

/** Nobody answered at the address: nothing is known of the request's effect. */
export class UnreachableError extends Error {
  constructor(apiUrl: string, cause: unknown) {
    super(`The API at ${apiUrl} does not answer (${reasonOf(cause)}).`, { cause });
    this.name = 'UnreachableError';
  }
}

/** A failed request says `fetch failed`; its cause says why. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const code = (error as { code?: unknown }).code;
  if (error.cause !== undefined) return reasonOf(error.cause);
  return typeof code === 'string' ? code : error.message;
}

/**
 * Sends a request and parses the JSON of its answer, whatever its status.
 * @throws UnreachableError where there was no answer
 */
export async function callApi(
  deps: Pick<CliDeps, 'send'>,
  target: ApiTarget,
  request: ApiRequest,
): Promise<ApiAnswer> {
  const headers: Record<string, string> = {
    Accept: 'application/json, application/problem+json',
    Authorization: `Bearer ${target.apiKey}`,
    ...(typeof request.body === 'string' ? { 'Content-Type': 'application/json' } : {}),
    ...request.headers,
  };
  const url = `${target.apiUrl.replace(/\/+$/, '')}${request.path}`;
  const body = request.body === undefined ? {} : { body: request.body };
  let status: number;
  let text: string;
  try {
    const response = await deps.send(url, { method: request.method, headers, ...body });
    status = response.status;
    text = await response.text();
  } catch (error) {
    throw new UnreachableError(target.apiUrl, error);
  }
  return { status, body: text === '' ? undefined : parsed(text) };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
