import {
  allHandlersFinished,
  CancellationScope,
  condition,
  isCancellation,
  patched,
  proxyActivities,
} from '@temporalio/workflow';
import type {
  ReembedCollectionInput,
  ReembedCollectionResult,
  ReembedResume,
} from '../../domain/etl/reembed-contract.js';
import { acceptWakes } from '../events/accept-wakes.js';
import { authorise } from '../events/authorise.js';
import { bookkeeping } from '../events/bookkeeping.js';
import { continueAsNew } from '../events/continue-as-new.js';
import { trackStatus } from '../events/track-status.js';
import { catchUp } from './catch-up.js';
import { holdGeneration, removeStores } from './hold-generation.js';
import { compactBuilt, judgeGeneration, reconcileBuilt } from './judge-generation.js';
import {
  lookAt,
  openReembed,
  rest,
  showReembed,
  type ReembedActivities,
  type ReembedRun,
} from './reembed-run.js';
import { runChild } from './run-child.js';

const { beginFit, readFit, failFit, flipReembed, dropReembed } =
  proxyActivities<ReembedActivities>(bookkeeping);

/** How building ended. */
type Built =
  | { kind: 'FLIPPED'; previousId: string | undefined }
  | { kind: 'DROP'; reason: string }
  | { kind: 'FULL' };

/** Makes the embedder first; the code of what failed, or nothing. */
async function fitFirst(run: ReembedRun, fitId: string): Promise<string | undefined> {
  const { tenant, limits } = run.input;
  run.move({ state: 'FITTING', waitingOn: 'nothing' });
  const start = await beginFit({ tenant, fitId });
  const facts = await runChild(start, () => readFit({ tenant, fitId }), limits.childLookMs);
  if (facts !== undefined) return facts.code;
  const code = 'OPERATION_FAILED';
  await failFit({ tenant, fitId, code });
  return code;
}

/** Backfill, reconcile, compact, gate and flip; a flip that is refused because documents lag is tried again once they do not. */
async function build(run: ReembedRun): Promise<Built> {
  const { tenant, generationId, collectionId, holdMs } = run.input;
  let reconciled = false;
  let compacted = false;
  // Which state of the collection the judgement was about: another live generation is another comparison.
  let judged: { epoch: number; reason: string } | undefined;
  for (;;) {
    const caught = await catchUp(run);
    if (caught === 'FULL') return { kind: 'FULL' };
    if (caught === 'DROP') return { kind: 'DROP', reason: 'decided by a person' };
    if (!reconciled) {
      reconciled = await reconcileBuilt(run);
      if (!reconciled) await rest(run);
      continue;
    }
    if (!compacted) {
      compacted = !patched('compact-before-gate') || (await compactBuilt(run));
      if (!compacted) {
        await rest(run);
        continue;
      }
    }
    if (judged === undefined) {
      const { epoch } = await lookAt(run, 'EVALUATING');
      const judgement = await judgeGeneration(run);
      if (judgement.kind !== 'FLIP') return judgement;
      judged = { epoch, reason: judgement.reason };
    }
    const flip = { tenant, collectionId, generationId, holdMs, ...judged };
    const flipped = await flipReembed(flip);
    if (flipped.state === 'FLIPPED') return { kind: 'FLIPPED', previousId: flipped.previousId };
    if (flipped.state === 'MOVED') judged = undefined;
    else await rest(run);
  }
}

/** Takes the new generation back: nothing ever answered from it. */
async function drop(run: ReembedRun, reason: string): Promise<void> {
  const { tenant, generationId } = run.input;
  const { dropped } = await dropReembed({ tenant, generationId, reason });
  showReembed(run, { state: `DROPPED (${reason})` });
  if (dropped) await removeStores(run, [generationId]);
}

async function buildOrDrop(run: ReembedRun): Promise<Built> {
  try {
    return await build(run);
  } catch (error) {
    if (isCancellation(error)) await CancellationScope.nonCancellable(() => drop(run, 'cancelled'));
    throw error;
  }
}

/** Goes through the phases that are left; undefined where the run goes on as a new one. */
async function advance(
  run: ReembedRun,
): Promise<Pick<ReembedCollectionResult, 'state' | 'reason'> | ReembedResume> {
  const { fitId, resume } = run.input;
  const onward = (phase: ReembedResume['phase'], previousId?: string): ReembedResume => {
    const { counts, slices } = run;
    return { phase, counts, slices, ...(previousId === undefined ? {} : { previousId }) };
  };
  let previousId = resume?.previousId;
  if (resume?.phase !== 'HOLDING') {
    if (fitId !== undefined && resume === undefined) {
      const code = await fitFirst(run, fitId);
      if (code !== undefined) return { state: 'FAILED', reason: code };
    }
    const built = await buildOrDrop(run);
    if (built.kind === 'FULL') return onward('BUILDING');
    if (built.kind === 'DROP') {
      await drop(run, built.reason);
      return { state: 'DROPPED', reason: built.reason };
    }
    previousId = built.previousId;
  }
  // What is live is not cancelled: whoever wants it gone rolls back.
  return CancellationScope.nonCancellable(async () => {
    const held = await holdGeneration(run, previousId);
    if (held === 'FULL') return onward('HOLDING', previousId);
    const { state } = await lookAt(run, 'ENDING');
    return state === 'DROPPED' ? { state, reason: 'rolled back' } : { state: 'LIVE' };
  });
}

/**
 * Embeds a collection anew beside the generation that answers: a reader sees the old one until the flip, the new one
 * after it, never both.
 *
 * (FITTING →) BUILDING → RECONCILING → EVALUATING (→ WAITING) → HOLDING → LIVE, or DROPPED, or FAILED where no embedder
 * could be fitted. Every commit writes both generations from BUILDING on; what was committed before is backfilled from
 * stored text. Facts are in Postgres: a decision or a rollback is a row there, a wake only makes the run look.
 */
export async function reembedCollection(
  input: ReembedCollectionInput,
): Promise<ReembedCollectionResult> {
  const { resume, ...authorised } = input;
  const first = resume?.phase ?? (input.fitId === undefined ? 'BUILDING' : 'FITTING');
  const run = openReembed(input, trackStatus({ state: first, waitingOn: 'nothing' }));
  acceptWakes(run);
  await authorise(authorised);
  const end = await advance(run);
  return CancellationScope.nonCancellable(async () => {
    if ('phase' in end)
      return continueAsNew<typeof reembedCollection>({ ...authorised, resume: end });
    run.closing = true;
    run.move({ state: end.state, waitingOn: 'nothing' });
    await condition(allHandlersFinished);
    return { generationId: input.generationId, ...end, slices: run.slices, counts: run.counts };
  });
}
