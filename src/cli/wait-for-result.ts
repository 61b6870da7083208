import { z } from 'zod';
import { callApi, type ApiAnswer, type ApiTarget } from './call-api.js';
import type { CliDeps } from './cli-deps.js';
import { outcomeFor, type StateOutcome } from './state-outcome.js';

const startedSchema = z.looseObject({
  id: z.string(),
  status: z.string(),
  links: z.looseObject({ self: z.string().startsWith('/'), temporalUi: z.string().optional() }),
});
const stateSchema = z.looseObject({
  state: z.string().optional(),
  status: z.string().optional(),
  waitingOn: z.string().optional(),
  progress: z.object({ step: z.int(), maxSteps: z.int() }).optional(),
});

/** A state with what is known of it: `RUNNING, step 40 of at most 500`, `PAUSED, waiting on approver`. */
function wordsOf(state: string, read: z.infer<typeof stateSchema> | undefined): string {
  const { waitingOn = 'nothing', progress } = read ?? {};
  return [
    state,
    ...(progress === undefined ? [] : [`step ${progress.step} of at most ${progress.maxSteps}`]),
    ...(waitingOn === 'nothing' ? [] : [`waiting on ${waitingOn}`]),
  ].join(', ');
}

/** How waiting ended: with an outcome, `open` where the time was over, or with a refusal of the read. */
export interface WaitEnd {
  answer: ApiAnswer;
  outcome: StateOutcome | 'refused';
  state: string;
  /** Path of what was followed. */
  self: string;
}

const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 2_000;
const SAY_AGAIN_MS = 10_000;

/** One line per change, and one every ten seconds in between. */
function progress(deps: Pick<CliDeps, 'io' | 'nowMs'>, temporalUi: string | undefined) {
  const since = deps.nowMs();
  let last = '';
  let lastMs = 0;
  // A line of its own: beside a state it would be cut by the edge of the terminal.
  if (temporalUi !== undefined) deps.io.err(temporalUi);
  return (said: string): void => {
    const now = deps.nowMs();
    if (said === last && now - lastMs < SAY_AGAIN_MS) return;
    last = said;
    lastMs = now;
    deps.io.err(`${((now - since) / 1_000).toFixed(1).padStart(6)} s  ${said}`);
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
    if (answer.status >= 400)
      return { answer, outcome: 'refused', state: status, self: links.self };
    const read = stateSchema.safeParse(answer.body).data;
    const state = read?.state ?? read?.status ?? '';
    const outcome = outcomeFor(asked.verb, state);
    say(outcome === 'open' ? wordsOf(state, read) : state);
    const left = deadline - deps.nowMs();
    if (outcome !== 'open' || left <= 0) return { answer, outcome, state, self: links.self };
    await deps.pause(Math.min(pauseMs, left));
  }
}
