import type { Client, WorkflowExecutionInfo } from '@temporalio/client';
import { kebab } from './source-tree.js';
import { historyJson, payloadTexts, refusalOf } from './write-history.js';

/** States in which a workflow reaches what it was started for. */
const goodStates = new Set([
  ...['COMPLETED', 'SUCCEEDED', 'APPROVED', 'REGISTERED', 'PUBLISHED', 'LIVE', 'PROMOTED'],
  ...['DONE', 'STARTED', 'SKIPPED', 'APPLIED', 'COMPACTED', 'DELETED'],
]);

const EXAMINED_RUNS = 200;
/** Longer histories say little more and make the replay slow. */
const LONGEST = 400;

interface HistoryEvent {
  activityTaskStartedEventAttributes?: {
    attempt?: number;
    lastFailure?: { timeoutFailureInfo?: object };
  };
  activityTaskTimedOutEventAttributes?: object;
  workflowExecutionCancelRequestedEventAttributes?: object;
  workflowExecutionStartedEventAttributes?: { continuedExecutionRunId?: string };
  workflowExecutionCompletedEventAttributes?: object;
}

/** What the run stands for: how it ended, and what it met on its way. */
export function situationOf(status: string, json: unknown): string {
  const { events = [] } = json as { events?: HistoryEvent[] };
  const has = (key: keyof HistoryEvent) => events.some((event) => event[key] !== undefined);
  if (status === 'CONTINUED_AS_NEW') return 'continued';
  if (status === 'CANCELLED' || has('workflowExecutionCancelRequestedEventAttributes')) {
    return 'cancelled';
  }
  if (status === 'TIMED_OUT' || JSON.stringify(events).includes('"timeoutFailureInfo"')) {
    return 'timed-out';
  }
  if (status === 'FAILED') return 'failed';
  const result = payloadTexts(
    events.map((event) => event.workflowExecutionCompletedEventAttributes),
  ).join('');
  const state = /"(?:state|status)":"([A-Z_]+)"/.exec(result)?.[1];
  if (state !== undefined && !goodStates.has(state)) return kebab(state);
  const first = events[0]?.workflowExecutionStartedEventAttributes;
  if ((first?.continuedExecutionRunId ?? '') !== '') return 'after-continue';
  const retried = events.some(
    ({ activityTaskStartedEventAttributes: started }) => (started?.attempt ?? 1) > 1,
  );
  return retried ? 'retry' : 'happy';
}

/** A run that stands for its situation. */
export interface Picked {
  workflowId: string;
  json: unknown;
  events: number;
}

export interface PickOptions {
  workflow: string;
  /** The newest run of a situation, or the one that says most. */
  choose: 'newest' | 'longest';
  say: (line: string) => void;
}

/** One closed run for each situation that runs of this workflow met, by the situation's name. */
export async function pickHistories(
  client: Client,
  { workflow, choose, say }: PickOptions,
): Promise<Map<string, Picked>> {
  const picked = new Map<string, Picked>();
  const examine = async ({ status, workflowId, runId }: WorkflowExecutionInfo): Promise<void> => {
    if (status.name === 'TERMINATED') return;
    const history = await client.workflow.getHandle(workflowId, runId).fetchHistory();
    const events = history.events?.length ?? 0;
    const json = historyJson(history);
    const situation = situationOf(status.name, json);
    const known = picked.get(situation);
    if (known !== undefined && (choose === 'newest' || known.events >= events)) return;
    if (events > LONGEST) return;
    const refusal = refusalOf(json);
    if (refusal === undefined) picked.set(situation, { workflowId, json, events });
    else say(`  refused ${workflowId}: ${refusal}`);
  };
  let examined = 0;
  const query = `WorkflowType = '${workflow}' AND ExecutionStatus != 'Running'`;
  for await (const run of client.workflow.list({ query })) {
    await examine(run);
    examined += 1;
    if (examined === EXAMINED_RUNS) break;
  }
  return picked;
}
