import { condition, proxyActivities, setCurrentDetails } from '@temporalio/workflow';
import type { createReembedActivities } from '../../activities/etl/index.js';
import {
  noSlices,
  type ReembedCollectionInput,
  type SliceCounts,
} from '../../domain/etl/reembed-contract.js';
import type { ReembedStanding } from '../../domain/etl/reembed.js';
import { bookkeeping } from '../events/bookkeeping.js';
import { shouldContinueAsNew } from '../events/continue-as-new.js';
import type { MoveStatus } from '../events/track-status.js';

export type ReembedActivities = ReturnType<typeof createReembedActivities>;

const { readReembed } = proxyActivities<ReembedActivities>(bookkeeping);

/** Everything a run of a re-embedding knows; the facts behind it are in Postgres. */
export interface ReembedRun {
  input: ReembedCollectionInput;
  move: MoveStatus;
  /** Someone said that there is something to look at. */
  woken: boolean;
  closing: boolean;
  counts: SliceCounts;
  /** Of all runs, and of this one. */
  slices: number;
  slicesHere: number;
  /** Slices at once, and rounds in a row that got nowhere. */
  window: number;
  idle: number;
}

export const openReembed = (input: ReembedCollectionInput, move: MoveStatus): ReembedRun => ({
  input,
  move,
  woken: false,
  closing: false,
  counts: input.resume?.counts ?? noSlices,
  slices: input.resume?.slices ?? 0,
  slicesHere: 0,
  window: input.limits.window,
  idle: 0,
});

/** Whether this run has seen enough and goes on as a new one. */
export const isFull = ({ slicesHere, input: { limits } }: ReembedRun): boolean =>
  slicesHere >= limits.slicesPerRun || shouldContinueAsNew(limits.maxHistoryEvents);

/** What an operator reads of a re-embedding. */
export function showReembed(run: ReembedRun, now: { state: string; lagging?: number }): void {
  const { written, stopped, lost } = run.counts;
  const lagging = now.lagging === undefined ? '' : `${now.lagging}`;
  setCurrentDetails(
    `${now.state}: ${run.input.generationId} of ${run.input.collectionId}\n\n` +
      `| documents written | without a vector | taken by another writer | behind | slices |\n|---|---|---|---|---|\n` +
      `| ${written} | ${stopped} | ${lost} | ${lagging} | ${run.slices} |`,
  );
}

/** Reads how the generation stands; whatever woke the run before is seen by this. */
export async function lookAt(run: ReembedRun, state: string): Promise<ReembedStanding> {
  run.woken = false;
  const { tenant, generationId } = run.input;
  const standing = await readReembed({ tenant, generationId });
  showReembed(run, { state, lagging: standing.lagging });
  return standing;
}

/** Waits for a wake, or so many milliseconds. */
export async function waitForWake(run: ReembedRun, ms: number): Promise<void> {
  await condition(() => run.woken, Math.max(1, ms));
}

/** Rests after a round that got nowhere: `restMs`, doubling up to `restMaxMs`; a wake ends it. */
export async function rest(run: ReembedRun): Promise<void> {
  const { restMs, restMaxMs } = run.input.limits;
  await waitForWake(run, Math.min(restMaxMs, restMs * 2 ** Math.min(20, run.idle)));
  run.idle += 1;
}
