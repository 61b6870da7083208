import { randomUUID } from 'node:crypto';
import { isFinalInference, type InferenceState } from '../../src/domain/inference/contract.js';
import { pause } from '../support/pause.js';

/** What became of one inference that a caller would not let go of. */
export interface Insisted {
  key: string;
  /** Every id that an acknowledgement named; one, if the platform keeps its word. */
  ids: Set<string>;
  /** Every final state that was answered. */
  states: Set<string>;
  /** Calls that ended without an answer or with a 5xx, and were repeated. */
  repeats: number;
}

interface Asking {
  baseUrl: string;
  key: string;
  /** How long to insist. */
  patienceMs: number;
}

/** A reply, or undefined where nobody answered. */
async function call(
  url: string,
  init: RequestInit,
): Promise<{ status: number; body: Record<string, unknown> } | undefined> {
  try {
    const response = await fetch(url, { ...init, signal: AbortSignal.timeout(15_000) });
    return { status: response.status, body: (await response.json()) as Record<string, unknown> };
  } catch {
    return undefined;
  }
}

/**
 * Asks once and insists: the same key and body again where the connection breaks or a 5xx comes, a look at the inference
 * where it was accepted and is not settled. Ends with a final state.
 * @throws on a 4xx, and where the patience ends
 */
async function insist(asking: Asking, question: object): Promise<Insisted> {
  const key = randomUUID();
  const told: Insisted = { key, ids: new Set(), states: new Set(), repeats: 0 };
  const headers = { authorization: `Bearer ${asking.key}` };
  const ask = () =>
    call(`${asking.baseUrl}/v1/inferences`, {
      method: 'POST',
      headers: {
        ...headers,
        'idempotency-key': key,
        'content-type': 'application/json',
        prefer: 'wait=5',
      },
      body: JSON.stringify(question),
    });
  const look = (id: string) => call(`${asking.baseUrl}/v1/inferences/${id}`, { headers });
  const deadline = performance.now() + asking.patienceMs;
  while (performance.now() < deadline) {
    const [id] = told.ids;
    const reply = await (id === undefined ? ask() : look(id));
    if (reply === undefined || reply.status >= 500) {
      // A final failure names its inference; the next look reads how it ended.
      const decided = reply?.body['decisionId'];
      if (typeof decided === 'string') told.ids.add(decided);
      told.repeats += 1;
      await pause(200);
      continue;
    }
    if (reply.status >= 400) throw new Error(`${reply.status} ${JSON.stringify(reply.body)}`);
    told.ids.add(String(reply.body['id']));
    const state = String(reply.body['status']) as InferenceState;
    if (reply.status === 200 && isFinalInference(state)) {
      told.states.add(state);
      // Whoever repeats the question afterwards gets the same answer.
      const again = await ask();
      if (again === undefined || again.status >= 500) continue;
      told.ids.add(String(again.body['id']));
      told.states.add(String(again.body['status']));
      return told;
    }
    await pause(100);
  }
  throw new Error(
    `no final state after ${asking.patienceMs} ms: ${[...told.ids].join()} ${told.repeats}`,
  );
}

/** Several callers at once, each taking the next question until `enough`. */
export async function insistTogether(
  asking: Asking,
  questions: AsyncGenerator<object>,
  {
    callers,
    enough,
  }: { callers: number; enough: (answered: number) => boolean | Promise<boolean> },
): Promise<Insisted[]> {
  const all: Insisted[] = [];
  const caller = async () => {
    while (!(await enough(all.length))) {
      const { value } = (await questions.next()) as { value: object };
      all.push(await insist(asking, value));
    }
  };
  await Promise.all(Array.from({ length: callers }, caller));
  return all;
}
