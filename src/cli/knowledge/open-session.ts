import {
  callApi,
  UnreachableError,
  type ApiAnswer,
  type ApiRequest,
  type ApiTarget,
} from '../call-api.js';
import { asOption, chooseKey } from '../choose-key.js';
import type { CliDeps } from '../cli-deps.js';
import { outputOf, type GlobalOptions } from '../output-of.js';
import { RefusedError } from '../refused-error.js';

/** One command's way to the platform; refusals are thrown. */
export interface Session {
  deps: CliDeps;
  output: 'table' | 'json';
  target: ApiTarget;
  /** @throws RefusedError, UnreachableError */
  get: (path: string) => Promise<unknown>;
  /** Any other request, under an idempotency key. @throws RefusedError, UnreachableError */
  send: (request: ApiRequest & { key?: string | undefined }) => Promise<unknown>;
  /** What a proposed command needs behind it: ` --as <name>`, or nothing. */
  asFor: (permission: string) => Promise<string>;
}

/** Documents and collections are the data steward's work, from the first folder to the first question. */
const USUAL_ROLE = 'steward';

/** @throws UsageError where no key is at hand */
export async function openSession(
  deps: CliDeps,
  given: GlobalOptions & { json?: boolean },
  permission: string,
): Promise<Session> {
  const asked = { apiKey: given.apiKey, role: given.as, usualRole: USUAL_ROLE };
  const apiKey = await chooseKey(deps, asked, permission);
  const target = { apiUrl: given.apiUrl ?? deps.apiUrl, apiKey };
  const accepted = async (answer: Promise<ApiAnswer>): Promise<unknown> => {
    const { status, body } = await answer;
    if (status >= 400) throw new RefusedError({ status, body });
    return body;
  };
  return {
    deps,
    output: outputOf(deps, given),
    target,
    asFor: (needed) => asOption(deps, { apiKey: given.apiKey, role: given.as }, needed),
    get: (path) => accepted(callApi(deps, target, { method: 'GET', path })),
    send: ({ key, ...request }) => {
      const headers = { ...request.headers, 'Idempotency-Key': key ?? deps.newKey() };
      return accepted(callApi(deps, target, { ...request, headers }));
    },
  };
}

/** Says, where an answer was lost, that the same command may be given again. @throws whatever `work` throws */
export async function repeatable<T>(
  { deps }: Pick<Session, 'deps'>,
  advice: string,
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof UnreachableError)
      deps.io.err(`Whether it took effect is not known: ${advice}`);
    throw error;
  }
}
