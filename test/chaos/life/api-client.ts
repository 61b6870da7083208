import { randomUUID } from 'node:crypto';
import { pause } from '../../support/pause.js';
import { ApiError, callApi, isPassing, type Call } from '../people.js';
import type { DriverLine, Operation } from './log-lines.js';

type Json = Record<string, unknown>;

/** Writes a line of the driver's log before it returns. */
export type Write = (line: DriverLine) => void;

/** Who calls: a key of one tenant. */
export interface As {
  tenant: string;
  key: string;
}

const PATIENCE_MS = 180_000;

/** Final states of whatever can be followed. */
const finalStates = new Set([
  ...['SUCCEEDED', 'BLOCKED', 'TRUNCATED', 'FAILED', 'CANCELLED', 'EXPIRED', 'LOST'],
  ...['PUBLISHED', 'DISCARDED', 'REGISTERED', 'BUDGET_EXCEEDED', 'REJECTED_INPUT', 'COMPLETED'],
  ...['ROLLED_BACK', 'ABORTED', 'SUPERSEDED', 'QUARANTINED'],
]);

const idOf = (body: Json): string | undefined => {
  const id = body['id'] ?? body['feedbackId'] ?? body['changeToken'] ?? body['decisionId'];
  return typeof id === 'string' ? id : undefined;
};

const stateOf = (body: Json): string | undefined => {
  const state = body['state'] ?? body['status'];
  return typeof state === 'string' ? state : undefined;
};

/** One try, noted before and after. @throws ApiError */
async function tryOnce(
  { baseUrl, write }: { baseUrl: string; write: Write },
  as: As,
  { op, attempt, ...request }: Call & { op: Operation; idempotencyKey: string; attempt: number },
): Promise<Json> {
  const head = { tenant: as.tenant, op, key: request.idempotencyKey, attempt };
  write({ line: 'call', at: Date.now(), ...head });
  try {
    const body = (await callApi(baseUrl, as.key, request)) as Json;
    const answer = { status: 200, id: idOf(body), state: stateOf(body) };
    write({ line: 'answer', at: Date.now(), ...head, ...answer });
    return body;
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    const { status, code, body } = error;
    // A run that failed for good is told as a problem that names it.
    const ended = status >= 400 && typeof body['decisionId'] === 'string';
    const told = ended
      ? { id: String(body['decisionId']), state: stateOf(body), isFinal: true }
      : {};
    write({ line: 'answer', at: Date.now(), ...head, status, code, ...told });
    if (ended) return { id: body['decisionId'], status: body['state'] };
    throw error;
  }
}

/** An API that notes every try and every answer. */
export function createApiClient(baseUrl: string, write: Write) {
  /** A request of a client that wants its answer: the same key and body until there is one. @throws ApiError of a refusal */
  const insist = async (
    as: As,
    { firstAttempt = 1, ...call }: Call & { op: Operation; firstAttempt?: number },
    again: (error: unknown) => boolean = isPassing,
  ): Promise<Json> => {
    const idempotencyKey = call.idempotencyKey ?? randomUUID();
    const deadline = performance.now() + PATIENCE_MS;
    for (let attempt = firstAttempt; ; attempt++) {
      try {
        return await tryOnce({ baseUrl, write }, as, { ...call, idempotencyKey, attempt });
      } catch (error) {
        if (!again(error) || performance.now() > deadline) throw error;
        await pause(100 + Math.min(attempt - firstAttempt, 5) * 60);
      }
    }
  };

  /** Reads until there is an answer. */
  const read = async (as: As, path: string): Promise<Json> => {
    const deadline = performance.now() + PATIENCE_MS;
    for (;;) {
      try {
        return (await callApi(baseUrl, as.key, { method: 'GET', path })) as Json;
      } catch (error) {
        if (!isPassing(error) || performance.now() > deadline) throw error;
        await pause(200);
      }
    }
  };

  /** Looks at a thing until it is over, noting each state that it is seen in. */
  const follow = async (
    as: As,
    of: { op: Operation; id: string; path: string; until?: readonly string[] },
  ): Promise<Json> => {
    const { op, id, path, until } = of;
    const deadline = performance.now() + PATIENCE_MS;
    let last: string | undefined;
    for (;;) {
      const body = await read(as, path);
      const state = stateOf(body) ?? '';
      if (state !== last) write({ line: 'look', at: Date.now(), tenant: as.tenant, op, id, state });
      last = state;
      if (until?.includes(state) === true || finalStates.has(state)) return body;
      if (performance.now() > deadline)
        throw new Error(`${path} is still ${state} after ${PATIENCE_MS} ms`);
      await pause(op === 'infer' ? 120 : 300);
    }
  };

  return { insist, read, follow };
}
export type ApiClient = ReturnType<typeof createApiClient>;
