import { z } from 'zod';
import type { CliIo } from './cli-deps.js';
import { nearestOf } from './nearest-of.js';

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

/** What the pointer of a refused field names in the body that was sent. */
const sentAt = (sent: unknown, pointer: string): unknown =>
  pointer
    .split('/')
    .slice(1)
    .reduce<unknown>(
      (value, part) =>
        typeof value === 'object' && value !== null && Object.hasOwn(value, part)
          ? (value as Record<string, unknown>)[part]
          : undefined,
      sent,
    );

/** The value that was probably meant, where the detail lists those that may be. */
function meantBy(
  { pointer, detail = '' }: { pointer: string; detail?: string | undefined },
  sent: unknown,
) {
  const [, values] = /^must be one of: (.+)$/.exec(detail) ?? [];
  const value = sentAt(sent, pointer);
  if (values === undefined || typeof value !== 'string') return '';
  const near = nearestOf(value, values.split(', '));
  return near === undefined ? '' : `. Did you mean ${near}?`;
}

/** A refusal as people read it: code, detail, every wrong field, further facts, next step, request id. */
export function renderProblem(
  io: Pick<CliIo, 'paint'>,
  answer: { status: number; body: unknown; sent?: unknown },
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
      }${meantBy(error, answer.sent)}`,
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
