// What is done to sources and generations by the clock. A row says that it is wanted; a Schedule of Temporal says when;
// `startDueWork` looks at the row again before anything is started, so a Schedule that is late, doubled or forged can do
// no more than start what is due.
import type { StartRequest } from '../events/contract.js';
import { DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS } from '../units.js';
import { defaultCareLimits, type CareLimits } from './contract.js';

/** Work by the clock: on a source (`scan`), or on a generation (all others). */
type DueKind = 'scan' | CareKind;
/** Work on a generation. */
export type CareKind = 'reconcile' | 'compaction' | 'probe' | 'canary';

/** Names one piece of work; `id` is a source or a generation. */
export interface DueWork {
  tenant: string;
  work: DueKind;
  id: string;
}

/** A piece of work with its time: every `everyMs`, `offsetMs` after the epoch, up to `jitterMs` later. */
export interface ScheduledWork extends DueWork {
  everyMs: number;
  offsetMs: number;
  jitterMs: number;
}

/** What became of due work. */
export type DueResult =
  | { state: 'STARTED'; workflowId: string }
  | { state: 'SKIPPED'; reason: 'GONE' | 'NOT_DUE' | 'RUNNING' };

/** Nights are UTC: a reconcile at 1, a probe after it at 3, canaries at 5. */
const times = {
  reconcile: { everyMs: DAY_MS, offsetMs: HOUR_MS, jitterMs: HOUR_MS },
  probe: { everyMs: DAY_MS, offsetMs: 3 * HOUR_MS, jitterMs: HOUR_MS },
  canary: { everyMs: DAY_MS, offsetMs: 5 * HOUR_MS, jitterMs: HOUR_MS },
  compaction: { everyMs: HOUR_MS, offsetMs: 30 * MINUTE_MS, jitterMs: 10 * MINUTE_MS },
} as const satisfies Record<CareKind, Omit<ScheduledWork, keyof DueWork>>;

/** How often work on a generation is due, in milliseconds. */
export const careEveryMs = (work: CareKind): number => times[work].everyMs;

/** When the period began that a moment lies in; both in milliseconds since the epoch. Work is done once a period. */
export function carePeriodMs(work: CareKind, nowMs: number): number {
  const { everyMs, offsetMs } = times[work];
  return Math.floor((nowMs - offsetMs) / everyMs) * everyMs + offsetMs;
}

/** Which work a generation gets: one that is not live yet has nobody to answer, so its recall waits. */
const careOf = {
  BUILDING: ['compaction', 'canary'],
  LIVE: ['reconcile', 'compaction', 'probe', 'canary'],
  HOLDING: ['reconcile', 'compaction', 'canary'],
} as const satisfies Record<string, readonly CareKind[]>;

/** All work by the clock that the rows of a tenant ask for. */
export function scheduledWork(
  tenant: string,
  rows: {
    sources: readonly { id: string; everyMs: number }[];
    generations: readonly { id: string; state: keyof typeof careOf }[];
  },
): ScheduledWork[] {
  return [
    ...rows.sources.map(({ id, everyMs }) => ({
      ...{ tenant, work: 'scan' as const, id, everyMs, offsetMs: 0 },
      // Sources of one interval do not all begin in the same second.
      jitterMs: Math.min(MINUTE_MS, Math.floor(everyMs / 10 / SECOND_MS) * SECOND_MS),
    })),
    ...rows.generations.flatMap(({ id, state }) =>
      careOf[state].map((work) => ({ tenant, work, id, ...times[work] })),
    ),
  ];
}

/** Prefix of the Schedules that are kept equal to the rows. */
export const scheduleIdPrefix = 'etl/';

/** `etl/<tenant>/<work>/<id>`: the Schedule of a piece of work. */
export const scheduleIdOf = ({ tenant, work, id }: DueWork): string =>
  `${scheduleIdPrefix}${tenant}/${work}/${id}`;

export interface ProbeGenerationInput {
  tenant: string;
  probeId: string;
  generationId: string;
  limits: CareLimits;
}

export interface ProbeGenerationResult {
  probeId: string;
  /** SKIPPED: there is nothing to ask about yet. */
  state: 'DONE' | 'SKIPPED' | 'FAILED';
  /** Share of the exact first ten that the index answers too, in basis points. */
  recallBp?: number | undefined;
  code?: string | undefined;
}

export interface CheckCanariesInput {
  tenant: string;
  canaryId: string;
  generationId: string;
  limits: CareLimits;
}

export interface CheckCanariesResult {
  canaryId: string;
  state: 'DONE' | 'DRIFTED' | 'FAILED';
  code?: string | undefined;
}

const careStart = (
  id: string,
  start: Pick<StartRequest, 'workflowId' | 'workflowType' | 'input'> & { summary: string },
): StartRequest => ({
  workflowId: start.workflowId,
  workflowType: start.workflowType,
  taskQueue: 'orchestration',
  input: start.input,
  options: {
    summary: start.summary,
    searchAttributes: { Target: id, Phase: 'RUNNING', WaitingOn: 'nothing' },
    priorityKey: 5,
  },
  startedBy: 'relay',
});

/** The start of a recall probe. */
export const probeGenerationStart = (
  run: { tenant: string; probeId: string; generationId: string },
  limits: CareLimits = defaultCareLimits,
): StartRequest =>
  careStart(run.generationId, {
    workflowId: `retrieval/${run.tenant}/${run.probeId}`,
    workflowType: 'probeGeneration',
    input: { tenant: run.tenant, probeId: run.probeId, generationId: run.generationId, limits },
    summary: `probe recall of ${run.generationId}`,
  });

/** The start of a look at an embedder's canary texts. */
export const checkCanariesStart = (
  run: { tenant: string; canaryId: string; generationId: string },
  limits: CareLimits = defaultCareLimits,
): StartRequest =>
  careStart(run.generationId, {
    workflowId: `etl/${run.tenant}/${run.canaryId}`,
    workflowType: 'checkCanaries',
    input: { tenant: run.tenant, canaryId: run.canaryId, generationId: run.generationId, limits },
    summary: `canary texts of ${run.generationId}`,
  });
