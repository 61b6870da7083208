import { z } from 'zod';
import type { ApiAnswer } from './call-api.js';
import { ableOf } from './choose-key.js';
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

/**
 * Shows a refusal: the problem document whole in json, else in words.
 * @param answer with `sent`, the body of the request, it says which value of a field was probably meant
 * @returns the exit code
 */
export function showRefusal(
  deps: Pick<CliDeps, 'io'>,
  output: 'table' | 'json',
  answer: ApiAnswer & { sent?: unknown },
): number {
  const isJson = output === 'json' && typeof answer.body === 'object';
  deps.io.err(isJson ? JSON.stringify(answer.body, null, 2) : renderProblem(deps.io, answer));
  return 1;
}

const permissionSchema = z.looseObject({ code: z.literal('FORBIDDEN'), permission: z.string() });

/** Where a key lacks a permission: which of the keys at hand hold it. */
export async function hintKeys(
  deps: Pick<CliDeps, 'io' | 'readKeys'>,
  output: 'table' | 'json',
  answer: ApiAnswer,
): Promise<void> {
  const { data } = permissionSchema.safeParse(answer.body);
  if (data === undefined || output === 'json') return;
  const able = ableOf(Object.keys((await deps.readKeys()) ?? {}), data.permission);
  if (able.length > 0) deps.io.err(`  keys at hand that may: --as ${able.join(', --as ')}`);
}
