import { z } from 'zod';
import { callApi, type ApiAnswer, type ApiTarget } from './call-api.js';
import type { CliDeps } from './cli-deps.js';
import { outcomeFor, type StateOutcome } from './state-outcome.js';

const startedSchema = z.looseObject({
  id: z.string(),
  status: z.string(),
  links: z.looseObject({ self: z.string().startsWith('/'), temporalUi: z.string().optional() }),
});
const stateSchema = z.looseObject({ state: z.string().optional(), status: z.string().optional() });

/** How waiting ended: with an outcome, `open` where the time was over, or with a refusal of the read. */
export interface WaitEnd {
  answer: ApiAnswer;
  outcome: StateOutcome | 'refused';
  state: string;
}

const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 2_000;
const SAY_AGAIN_MS = 10_000;

/** One line per change of state, and one every ten seconds in between. */
function progress(deps: Pick<CliDeps, 'io' | 'nowMs'>, temporalUi: string | undefined) {
  const since = deps.nowMs();
  let last = { state: '', atMs: 0 };
  return (state: string): void => {
    const now = deps.nowMs();
    if (state === last.state && now - last.atMs < SAY_AGAIN_MS) return;
    const link = last.state === '' && temporalUi !== undefined ? `  ${temporalUi}` : '';
    last = { state, atMs: now };
    const seconds = ((now - since) / 1_000).toFixed(1);
    deps.io.err(`${seconds.padStart(6)} s  ${state}${link}`);
  };
}

/**
 * Follows `links.self` of a started operation until its state is final, a person is needed, or the time is over.
 * @returns undefined where the answer names nothing to follow
 * @throws UnreachableError
 */
export async function waitForResult(
  deps: Pick<CliDeps, 'send' | 'io' | 'nowMs' | 'pause'>,
  target: ApiTarget,
  asked: { verb: string; started: unknown; timeoutMs: number },
): Promise<WaitEnd | undefined> {
  const started = startedSchema.safeParse(asked.started);
  if (!started.success) return undefined;
  const { links, status } = started.data;
  const say = progress(deps, links.temporalUi);
  say(status);
  const deadline = deps.nowMs() + asked.timeoutMs;
  for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(pauseMs * 1.5, LONGEST_PAUSE_MS)) {
    const answer = await callApi(deps, target, { method: 'GET', path: links.self });
    if (answer.status >= 400) return { answer, outcome: 'refused', state: status };
    const read = stateSchema.safeParse(answer.body).data;
    const state = read?.state ?? read?.status ?? '';
    say(state);
    const outcome = outcomeFor(asked.verb, state);
    const left = deadline - deps.nowMs();
    if (outcome !== 'open' || left <= 0) return { answer, outcome, state };
    await deps.pause(Math.min(pauseMs, left));
  }
}
