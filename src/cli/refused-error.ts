import type { ApiAnswer } from './call-api.js';
import type { CliDeps } from './cli-deps.js';
import { renderProblem } from './render-problem.js';

/** The platform refused a request; the answer says why. */
export class RefusedError extends Error {
  readonly answer: ApiAnswer;
  /** What the command adds, such as another way. */
  readonly hint: string | undefined;
  constructor(answer: ApiAnswer, hint?: string) {
    super(`refused with ${answer.status}`);
    this.name = 'RefusedError';
    this.answer = answer;
    this.hint = hint;
  }
}

/** Shows a refusal: the problem document whole in json, else in words. @returns the exit code */
export function showRefusal(
  deps: Pick<CliDeps, 'io'>,
  output: 'table' | 'json',
  answer: ApiAnswer,
): number {
  const isJson = output === 'json' && typeof answer.body === 'object';
  deps.io.err(isJson ? JSON.stringify(answer.body, null, 2) : renderProblem(deps.io, answer));
  return 1;
}
