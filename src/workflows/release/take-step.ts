import { ApplicationFailure, proxyActivities } from '@temporalio/workflow';
import type { createReleaseActivities } from '../../activities/release/index.js';
import type { ReleaseProgress } from '../../domain/release/contract.js';
import { bookkeeping } from '../events/bookkeeping.js';
import { at, disturbed, look, ref, wait, type Run } from './release-run.js';

type Activities = ReturnType<typeof createReleaseActivities>;
const facts = proxyActivities<Activities>(bookkeeping);
/** Reads a whole artifact: longer than a look at rows, and missed by nobody for ten minutes if it did not beat. */
const { checkReleasePreflight } = proxyActivities<Activities>({
  ...bookkeeping,
  startToCloseTimeout: '10m',
  heartbeatTimeout: '10s',
});

/** A look at serving processes takes as long as the plan allows them, and some. */
const lookout = (timeoutMs: number, summary: string) =>
  proxyActivities<Activities>({
    ...bookkeeping,
    startToCloseTimeout: timeoutMs + 30_000,
    heartbeatTimeout: '10s',
    summary,
  });

const left = (timeoutMs: number, { nowMs, sinceMs }: ReleaseProgress) =>
  Math.max(0, timeoutMs - (nowMs - sinceMs));

/** WARMING: one process at least has the candidate loaded and probed, then the shadow, or the promotion. */
async function warm(run: Run, progress: ReleaseProgress): Promise<ReleaseProgress> {
  const { plan } = run.input;
  const timeoutMs = left(plan.propagationTimeoutMs, progress);
  const { awaitVersionReady } = lookout(timeoutMs, 'load and probe the candidate');
  const ready = await look(run, () => awaitVersionReady({ ...ref(run), need: 'one', timeoutMs }));
  if (ready === undefined) return progress;
  if (!ready.ok) {
    const reason = `the version is not ready: ${ready.laggards.join('; ')}`;
    const { laggards } = ready;
    return facts.revertRelease({ ...at(run, progress), cause: 'WARMING_FAILED', reason, laggards });
  }
  return plan.shadow === undefined
    ? facts.clearRelease(at(run, progress))
    : facts.beginReleaseShadow(at(run, progress));
}

/** SHADOWING: a verdict per tick. */
async function shadow(run: Run, progress: ReleaseProgress): Promise<ReleaseProgress> {
  await wait(run, run.input.plan.shadow?.tickMs ?? run.input.plan.tickMs);
  return disturbed(run) ? progress : facts.tickReleaseShadow(at(run, progress));
}

/** PROMOTING: every process has the version loaded, no freeze is on, then the pointer moves. */
async function promote(run: Run, progress: ReleaseProgress): Promise<ReleaseProgress> {
  const { plan } = run.input;
  const { frozenUntilMs, nowMs } = progress;
  if (frozenUntilMs !== null && frozenUntilMs > nowMs) {
    await wait(run, frozenUntilMs - nowMs);
    return facts.loadReleaseProgress(ref(run));
  }
  const timeoutMs = plan.propagationTimeoutMs;
  const { awaitVersionReady } = lookout(timeoutMs, 'every process loads the version');
  const ready = await look(run, () => awaitVersionReady({ ...ref(run), need: 'all', timeoutMs }));
  if (ready === undefined) return progress;
  if (!ready.ok) {
    const reason = `not every process is ready: ${ready.laggards.join('; ')}`;
    const { laggards } = ready;
    return facts.revertRelease({ ...at(run, progress), cause: 'NOT_READY', reason, laggards });
  }
  return facts.promoteRelease(at(run, progress));
}

/** VERIFYING: every process holds the epoch, then the error rate per tick. */
async function verify(run: Run, progress: ReleaseProgress): Promise<ReleaseProgress> {
  const { plan } = run.input;
  const { propagatedMs, movedEpoch, nowMs } = progress;
  if (propagatedMs === null) {
    const timeoutMs = left(plan.propagationTimeoutMs, progress);
    const epoch = movedEpoch ?? 0;
    const { awaitEpochPropagated } = lookout(timeoutMs, `every process holds epoch ${epoch}`);
    const held = await look(run, () => awaitEpochPropagated({ ...ref(run), epoch, timeoutMs }));
    if (held === undefined) return progress;
    const { ok, laggards } = held;
    // A rollback is never undone by a process that is late: nothing is admitted under the old epoch any more.
    if (ok || plan.strategy === 'rollback') {
      return facts.noteReleasePropagated({ ...at(run, progress), laggards });
    }
    const reason = `epoch ${epoch} is not everywhere: ${laggards.join('; ')}`;
    const cause = 'PROPAGATION_TIMEOUT' as const;
    return facts.revertRelease({ ...at(run, progress), cause, reason, laggards });
  }
  await wait(run, Math.min(plan.tickMs, propagatedMs + plan.verifyMs + plan.bakeMs - nowMs));
  return disturbed(run) ? progress : facts.tickReleaseVerification(at(run, progress));
}

/** BAKING_LABELS: the truth as it arrives. */
async function bakeLabels(run: Run, progress: ReleaseProgress): Promise<ReleaseProgress> {
  const { plan } = run.input;
  const endMs = (progress.labelsSinceMs ?? 0) + (plan.primaryMetric?.labelWindowMs ?? 0);
  await wait(run, Math.min(plan.labelTickMs, endMs - progress.nowMs));
  return disturbed(run) ? progress : facts.tickReleaseLabels(at(run, progress));
}

/** PAUSED: a person decides, or the time runs out and the release goes back. */
async function rest(run: Run, progress: ReleaseProgress): Promise<ReleaseProgress> {
  await wait(run, (progress.pauseDeadlineMs ?? progress.nowMs) - progress.nowMs);
  return disturbed(run) ? progress : facts.expireReleasePause(at(run, progress));
}

/** ROLLING_BACK: what was live before is restored, then held everywhere, or the late are named. */
async function goBack(run: Run, progress: ReleaseProgress): Promise<ReleaseProgress> {
  const { restoredEpoch } = progress;
  if (restoredEpoch === null) return facts.restoreRelease(at(run, progress));
  const timeoutMs = left(run.input.plan.propagationTimeoutMs, progress);
  const epoch = restoredEpoch;
  const { awaitEpochPropagated } = lookout(timeoutMs, `every process holds epoch ${epoch}`);
  const { laggards } =
    epoch === 0 ? { laggards: [] } : await awaitEpochPropagated({ ...ref(run), epoch, timeoutMs });
  return facts.endRelease({ ...at(run, progress), laggards });
}

/** PREFLIGHT: a release that supersedes another waits for its end, then the facts are judged. */
async function preflight(run: Run, progress: ReleaseProgress): Promise<ReleaseProgress> {
  if (progress.queuedBehind === null) return checkReleasePreflight(at(run, progress));
  await wait(run, run.input.plan.tickMs);
  return facts.loadReleaseProgress(ref(run));
}

/** One stage, or what a message asks for first. Harm goes before everything else. */
export async function takeStep(run: Run, progress: ReleaseProgress): Promise<ReleaseProgress> {
  if (run.cancelled) {
    run.cancelled = false;
    const reason = 'the workflow was cancelled';
    return facts.revertRelease({ ...at(run, progress), cause: 'CANCELLED', reason });
  }
  if (run.woken) {
    run.woken = false;
    return facts.heedReleaseOrders(ref(run));
  }
  switch (progress.state) {
    case 'PREFLIGHT':
      return preflight(run, progress);
    case 'WARMING':
      return warm(run, progress);
    case 'SHADOWING':
      return shadow(run, progress);
    case 'PAUSED':
      return rest(run, progress);
    case 'PROMOTING':
      return promote(run, progress);
    case 'VERIFYING':
      return verify(run, progress);
    case 'BAKING_LABELS':
      return bakeLabels(run, progress);
    case 'ROLLING_BACK':
      return goBack(run, progress);
    case 'SHIFTING':
    case 'BAKING':
    case 'ANALYSING':
    case 'SUCCEEDED':
    case 'ROLLED_BACK':
    case 'ABORTED':
    case 'SUPERSEDED':
      throw ApplicationFailure.nonRetryable(`no stage ${progress.state}`, 'OPERATION_FAILED');
  }
}
