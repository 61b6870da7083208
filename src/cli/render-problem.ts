import { z } from 'zod';
import type { CliIo } from './cli-deps.js';

const problemSchema = z.looseObject({
  code: z.string(),
  status: z.number(),
  detail: z.string().default(''),
  next: z.string().optional(),
  requestId: z.string().optional(),
  errors: z
    .array(z.looseObject({ pointer: z.string(), code: z.string(), detail: z.string().optional() }))
    .default([]),
});

const known = new Set(['type', 'title', 'status', 'code', 'detail', 'next', 'requestId', 'errors']);

const asText = (value: unknown): string =>
  typeof value === 'string' ? value : JSON.stringify(value);

/** A refusal as people read it: code, detail, every wrong field, further facts, next step, request id. */
export function renderProblem(
  io: Pick<CliIo, 'paint'>,
  answer: { status: number; body: unknown },
): string {
  const parsed = problemSchema.safeParse(answer.body);
  if (!parsed.success) {
    const text = answer.body === undefined ? '' : `: ${asText(answer.body).slice(0, 500)}`;
    return `${io.paint('red', `HTTP ${answer.status}`)}${text}`;
  }
  const { code, status, detail, next, requestId, errors, ...rest } = parsed.data;
  const fields = errors.map(
    (error) =>
      `  ${error.pointer === '' ? '(body)' : error.pointer}  ${error.code}${
        error.detail === undefined ? '' : `: ${error.detail}`
      }`,
  );
  const facts = Object.entries(rest)
    .filter(([name]) => !known.has(name))
    .map(([name, value]) => `  ${name}: ${asText(value)}`);
  return [
    `${io.paint('red', code)} (${status}) ${detail}`,
    ...fields,
    ...facts,
    ...(next === undefined ? [] : [`  next: ${next}`]),
    ...(requestId === undefined ? [] : [io.paint('dim', `  request: ${requestId}`)]),
  ].join('\n');
}
