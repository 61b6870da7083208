import { activityInfo, cancellationSignal, heartbeat } from '@temporalio/activity';
import type { FieldValue } from '../../domain/datasets/field-check.js';
import { sha256 } from '../../domain/digest.js';
import { failureOf } from '../../domain/errors.js';
import type { InferStepResult } from '../../domain/inference/contract.js';
import { nextStep, type AttemptRecord } from '../../domain/inference/next-step.js';
import type { InferenceRun, Settlement, StoredAttempt } from '../../domain/inference/run.js';
import { killOn } from '../../domain/release/routing.js';
import { runOf } from '../run-of.js';
import { openInputs, type ModelOutput } from './attempt.js';
import type { InferencePipeline } from './pipeline.js';
import type { InferencePipelineDeps } from './inference-pipeline-deps.js';

/** What the steps of runs ask for. */
export interface InferStepDeps extends Pick<InferencePipelineDeps, 'store' | 'decrypt'> {
  pipeline: Pick<InferencePipeline, 'attempt' | 'settle'>;
  /** Commits an audit entry for a run that no admitted row allows. */
  recordForgedStart: (tenant: string, run: { workflowId: string; runId: string }) => Promise<void>;
}

const BEAT_MS = 2_000;

/** 0 ≤ u < 1, the same for one attempt of one inference wherever it is drawn. */
const jitterOf = (inferenceId: string, n: number): number =>
  sha256(`${inferenceId}\0${n}`).readUInt32BE(0) / 2 ** 32;

const pause = (ms: number, signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener('abort', () => (clearTimeout(timer), resolve()), { once: true });
  });

/** Candidates that a kill stops now. */
const killed = ({ plan, kills }: InferenceRun): Set<number> =>
  new Set(
    plan.candidates.flatMap(({ version, kind }, index) =>
      killOn(kills, version, kind === 'previous' ? 'fallback' : 'primary') === undefined
        ? []
        : [index],
    ),
  );

/** An attempt of this step, with what its failure asked for. A stored one has waited for that already. */
type Tried = StoredAttempt & { retryAfterMs?: number | undefined };

/** The attempts as the rule sees them. */
const recordsOf = (run: InferenceRun, attempts: Tried[]): AttemptRecord[] =>
  attempts.map((attempt) => ({
    candidate: run.plan.candidates.findIndex(({ version }) => version === attempt.version),
    class: attempt.class,
    endedMs: attempt.startedMs + attempt.totalMs,
    retryAfterMs: attempt.retryAfterMs,
  }));

type OpenRun = InferenceRun & { values: Record<string, FieldValue> };

/** Runs attempts until the rule says finish, or says wait for longer than a step may hold its workflow task. */
async function drive(
  deps: InferStepDeps,
  run: OpenRun,
  signal: AbortSignal,
): Promise<Settlement | { waitMs: number }> {
  const startedAt = performance.now();
  const elapsed = (): number => performance.now() - startedAt;
  const now = (): number => run.loadedMs + elapsed();
  const { plan } = run;
  const limits = { ...plan, deadlineMs: run.deadlineMs };
  const attempts: Tried[] = [...run.attempts];
  const ineligible = killed(run);
  let answer: { output: ModelOutput; by: (typeof plan.candidates)[number] } | undefined;
  for (;;) {
    const randomUnit = jitterOf(run.inferenceId, attempts.length);
    const moment = { nowMs: now(), randomUnit, ineligible };
    const step = nextStep(limits, recordsOf(run, attempts), moment);
    if (step.kind === 'finish') {
      const end = { outcome: step.outcome, attempts, answer, nowMs: now() };
      return deps.pipeline.settle(run, end);
    }
    const waitMs = step.kind === 'wait' ? Math.max(0, step.untilMs - now()) : 0;
    // The step must end before half of the workflow task has passed, whatever its next attempt does.
    const fits = elapsed() + waitMs + plan.attemptTimeoutMs <= plan.stepBudgetMs;
    if (attempts.length > run.attempts.length && !fits) {
      await deps.store.park(run.tenant, run.inferenceId, attempts);
      return { waitMs };
    }
    if (step.kind === 'wait') {
      if (!fits) return { waitMs };
      await pause(waitMs, signal);
      signal.throwIfAborted();
      continue;
    }
    const by = plan.candidates[step.candidate];
    if (by === undefined) throw new Error('the rule named a candidate that the plan does not have');
    const startedMs = now();
    const leftMs = Math.ceil(run.deadlineMs - startedMs);
    const timeoutMs = Math.max(1, Math.min(plan.attemptTimeoutMs, leftMs));
    const result = await deps.pipeline.attempt(run, by, { timeoutMs, signal });
    const n = attempts.length + 1;
    const { version } = by;
    const tried = { n, version, class: result.class, startedMs, totalMs: result.ms };
    if ('output' in result) answer = { output: result.output, by };
    attempts.push('output' in result ? tried : { ...tried, retryAfterMs: result.retryAfterMs });
  }
}

const settledResult = (state: Settlement['state'], code: string | null): InferStepResult => ({
  kind: 'settled',
  status: state,
  ...(code === null ? {} : { code }),
});

async function step(
  deps: InferStepDeps,
  tenant: string,
  inferenceId: string,
): Promise<InferStepResult> {
  const { workflowId, runId } = runOf();
  const run = await deps.store.load(tenant, inferenceId);
  if (run?.workflowId !== workflowId) {
    await deps.recordForgedStart(tenant, { workflowId, runId });
    throw failureOf('START_NOT_AUTHORISED', 'no admitted inference allows this run');
  }
  if (run.settled) return settledResult(run.state, run.code);
  // Past the deadline nothing is asked any more: inputs that cannot be opened must not keep the run from its end.
  const isOver = run.loadedMs >= run.deadlineMs;
  const values = isOver ? {} : await openInputs(deps, { ...run, tenant });
  const end = await drive(deps, { ...run, values }, cancellationSignal());
  if ('waitMs' in end) return { kind: 'wait', waitMs: Math.ceil(end.waitMs) };
  return settledResult(end.state, end.code);
}

/**
 * One step of a run: re-reads the admitted row, which is its authority, tries candidates, and settles in the same
 * activity when the rule says so. Idempotent: a settled run answers what stands; a lost worker costs no attempt.
 * @throws START_NOT_AUTHORISED (final, audited), STORE_UNAVAILABLE (retried by the workflow's own policy)
 */
export const createInferStep =
  (deps: InferStepDeps) =>
  async ({ tenant, inferenceId }: { tenant: string; inferenceId: string }) => {
    if (activityInfo().isLocal) return step(deps, tenant, inferenceId);
    const beat = setInterval(() => heartbeat(), BEAT_MS);
    try {
      return await step(deps, tenant, inferenceId);
    } finally {
      clearInterval(beat);
    }
  };
