import { isCancellation, proxyActivities } from '@temporalio/workflow';
import type { createEtlActivities } from '../../activities/etl/index.js';
import { bookkeeping } from '../events/bookkeeping.js';
import { careOptions } from './care-options.js';
import { runSlices } from './catch-up.js';
import {
  isFull,
  lookAt,
  waitForWake,
  type ReembedActivities,
  type ReembedRun,
} from './reembed-run.js';
import { runChild } from './run-child.js';

const { askDecision, beginGate, readGate, beginReconcile, readReconcile } =
  proxyActivities<ReembedActivities>(bookkeeping);

/** What is to become of the new generation. */
export type Judgement =
  { kind: 'FLIP'; reason: string } | { kind: 'DROP'; reason: string } | { kind: 'FULL' };

/** Compares the new store with its manifests. False where the store did not answer for long. */
export async function reconcileBuilt(run: ReembedRun): Promise<boolean> {
  const { tenant, generationId, limits } = run.input;
  run.move({ state: 'RECONCILING', waitingOn: 'nothing' });
  const start = await beginReconcile({ tenant, generationId });
  const read = () => readReconcile({ tenant, generationId });
  const facts = await runChild(start, read, limits.childLookMs);
  return facts?.done === true;
}

/**
 * Builds the indexes of the new store after its bulk load, where it asks for it: it is judged, and goes live, as it will
 * answer. False where the store did not answer for long.
 */
export async function compactBuilt(run: ReembedRun): Promise<boolean> {
  const { tenant, generationId, limits } = run.input;
  const { compactSink } = proxyActivities<ReturnType<typeof createEtlActivities>>({
    ...careOptions(limits.step),
    priority: { priorityKey: 5, fairnessKey: tenant },
    summary: `compact ${generationId}`,
  });
  try {
    await compactSink({ tenant, generationId });
    return true;
  } catch (error) {
    if (isCancellation(error)) throw error;
    return false;
  }
}

/** The verdict of the judged queries; ERROR where they could not be asked. */
async function verdictOf(run: ReembedRun): Promise<string> {
  const { tenant, generationId, limits } = run.input;
  run.move({ state: 'EVALUATING', waitingOn: 'nothing' });
  const start = await beginGate({ tenant, generationId });
  const read = () => readGate({ tenant, generationId });
  const facts = await runChild(start, read, limits.childLookMs);
  return facts?.verdict ?? 'ERROR';
}

/** Waits for a person, and keeps the generation up to date meanwhile. */
async function awaitDecision(run: ReembedRun, why: string): Promise<Judgement> {
  const { tenant, generationId, limits } = run.input;
  const state = 'WAITING';
  await askDecision({ tenant, generationId, reason: why, decisionMs: limits.decisionMs });
  for (;;) {
    const { decision, decisionLeftMs = 0, lagging, state: found } = await lookAt(run, state);
    if (decision === 'flip') return { kind: 'FLIP', reason: `${why}: decided by a person` };
    if (decision === 'drop' || found !== 'BUILDING')
      return { kind: 'DROP', reason: `${why}: decided by a person` };
    if (decisionLeftMs <= 0) return { kind: 'DROP', reason: `${why}: nobody decided in time` };
    if (isFull(run)) return { kind: 'FULL' };
    const waitMs = Math.min(decisionLeftMs, limits.lookMs);
    run.move({ state, waitingOn: 'approver', nextAtMs: Date.now() + waitMs });
    if (lagging > 0) await runSlices(run, { generationId, lagging, state });
    await waitForWake(run, waitMs);
  }
}

/**
 * The evaluation gate: PASS goes live by itself where the collection says so, FAIL is dropped, everything else waits for a
 * person. Without judged queries the collection's `autoFlip` decides.
 */
export async function judgeGeneration(run: ReembedRun): Promise<Judgement> {
  const { gated, autoFlip } = run.input;
  const verdict = gated ? await verdictOf(run) : undefined;
  if (verdict === 'FAIL') return { kind: 'DROP', reason: 'gate FAIL' };
  const why = verdict === undefined ? 'no gate' : `gate ${verdict}`;
  const clear = verdict === undefined || verdict === 'PASS';
  return clear && autoFlip ? { kind: 'FLIP', reason: why } : awaitDecision(run, why);
}
