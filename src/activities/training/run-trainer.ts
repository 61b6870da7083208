import { activityInfo, cancelled } from '@temporalio/activity';
import { PlatformError } from '../../domain/errors.js';
import type { RunFacts } from '../../domain/training/run-facts.js';
import type {
  MetricPoint,
  TrainHandle,
  TrainJob,
  TrainProgress,
  Trainer,
} from '../../domain/training/trainer.js';
import { workflowCaller } from '../run-of.js';
import { keepBeating, type Beat } from './keep-beating.js';
import { loadTables } from './load-rows.js';
import { jobKey, type RunFiles, type RunKey } from './run-files.js';
import type { TrainingDeps } from './training-deps.js';

export interface RunTrainerInput {
  tenant: string;
  runId: string;
  /** From the first RUNNING by the database's clock, over all attempts. */
  maxWallClockMs: number;
  stopGraceMs: number;
}

/** How the trainer's work on a run ended. */
export interface RunTrainerResult {
  kind: 'TRAINED' | 'CANCELLED' | 'BUDGET_EXCEEDED';
  /** Finished iterations or trees. */
  step: number;
  /** Training loss at that step, where known. */
  loss?: number;
}

/** What an attempt works with. */
interface Attempt {
  deps: TrainingDeps;
  files: RunFiles;
  trainer: Trainer;
  key: RunKey;
  facts: RunFacts;
  input: RunTrainerInput;
  beat: Beat;
  number: number;
  /** When the wall clock runs out, by this process's monotonic clock. */
  deadline: number;
}

// How long a poll may wait; a cancellation or a deadline is seen that late at most.
const POLL_MS = 500;
const LOOK_FOR_CANCEL_MS = 2_000;
const LOSS = 'log_loss';

const say = (attempt: Attempt, ...lines: string[]): Promise<void> =>
  attempt.deps.runs.recordProgress(attempt.key.tenant, attempt.key.runId, {
    attempt: attempt.number,
    lines: lines.map((line) => `attempt ${attempt.number}: ${line}`),
  });

/** Starts from the newest checkpoint whose bytes match their digest; one that does not is forgotten. */
async function startOrResume(attempt: Attempt, job: TrainJob): Promise<TrainHandle> {
  const { deps, key, trainer } = attempt;
  const checkpoints = await deps.runs.listCheckpoints(key.tenant, key.runId);
  for (const checkpoint of checkpoints) {
    try {
      const handle = await trainer.start(job, checkpoint);
      await say(attempt, `resumed from the checkpoint of step ${checkpoint.step}`);
      attempt.beat.note({ step: checkpoint.step, checkpointStep: checkpoint.step });
      return handle;
    } catch (error) {
      if (!(error instanceof PlatformError) || error.code !== 'ARTIFACT_CORRUPT') throw error;
      await deps.runs.dropCheckpoint(key.tenant, key.runId, checkpoint.step);
      await say(attempt, `the checkpoint of step ${checkpoint.step} is damaged and was dropped`);
    }
  }
  const handle = await trainer.start(job);
  await say(attempt, `started with ${job.table.rowCount} rows`);
  return handle;
}

/** Writes what a poll brought before a heartbeat names it. */
async function record(attempt: Attempt, progress: TrainProgress): Promise<void> {
  const { deps, key, number, beat } = attempt;
  const { metrics, checkpoint, step } = progress;
  if (metrics.length > 0)
    await deps.runs.recordProgress(key.tenant, key.runId, { attempt: number, metrics });
  beat.note({ step, ...(checkpoint === undefined ? {} : { checkpointStep: checkpoint.step }) });
}

const lossOf = (points: readonly MetricPoint[]): number | undefined =>
  points.findLast(({ name }) => name === LOSS)?.value;

function failureOf(progress: TrainProgress): Error {
  const { failure } = progress;
  if (failure === undefined) return new Error('the trainer stopped without being asked');
  // A crash of the trainer is an ordinary error: another attempt goes on from the last checkpoint.
  if (failure.retryable) return new Error(failure.message);
  return new PlatformError(failure.code, failure.message, { errors: failure.errors });
}

/** Why a running training shall end early. */
type Reason = 'CANCELLED' | 'BUDGET_EXCEEDED' | 'ABORTED';

/** Ends the training with a last checkpoint. */
async function stopWith(
  attempt: Attempt,
  handle: TrainHandle,
  why: { reason: Reason; afterStep: number; loss: number | undefined },
): Promise<RunTrainerResult> {
  const { trainer, input } = attempt;
  await trainer.stop(handle, input.stopGraceMs);
  const progress = await trainer.poll(handle, { afterStep: why.afterStep });
  await record(attempt, progress);
  const { step, checkpoint, usage } = progress;
  await attempt.deps.runs.recordResult(attempt.key.tenant, attempt.key.runId, {
    steps: step,
    checkpoint,
    usage: { wallClockMs: Math.round(usage.wallClockMs), gpuMs: usage.gpuMs },
  });
  await say(attempt, `stopped at step ${step}: ${why.reason.toLowerCase().replaceAll('_', ' ')}`);
  if (why.reason === 'ABORTED') return await cancelled();
  const loss = lossOf(progress.metrics) ?? why.loss;
  return { kind: why.reason, step, ...(loss === undefined ? {} : { loss }) };
}

/** Follows a training to its end: its finish, a cancellation, or the end of its time. */
async function follow(attempt: Attempt, handle: TrainHandle): Promise<RunTrainerResult> {
  const { deps, trainer, key, beat } = attempt;
  let afterStep = 0;
  let loss: number | undefined;
  let lookedAt = performance.now();
  const whyStop = async (): Promise<Reason | undefined> => {
    if (beat.signal.aborted) return 'ABORTED';
    if (performance.now() >= attempt.deadline) return 'BUDGET_EXCEEDED';
    if (performance.now() - lookedAt < LOOK_FOR_CANCEL_MS) return undefined;
    lookedAt = performance.now();
    const asked = await deps.runs.isCancelRequested(key.tenant, key.runId);
    return asked ? 'CANCELLED' : undefined;
  };
  for (;;) {
    const leftMs = attempt.deadline - performance.now();
    const waitMs = Math.max(1, Math.min(POLL_MS, leftMs));
    const progress = await trainer.poll(handle, { afterStep, waitMs });
    await record(attempt, progress);
    afterStep = progress.step;
    loss = lossOf(progress.metrics) ?? loss;
    if (progress.phase === 'FINISHED') return finish(attempt, handle, loss);
    if (progress.phase === 'FAILED' || progress.phase === 'STOPPED') throw failureOf(progress);
    const reason = await whyStop();
    if (reason !== undefined) return stopWith(attempt, handle, { reason, afterStep, loss });
  }
}

async function finish(
  attempt: Attempt,
  handle: TrainHandle,
  loss: number | undefined,
): Promise<RunTrainerResult> {
  const { deps, files, trainer, key, facts } = attempt;
  const { model, step, converged, usage, checkpoint } = await trainer.collect(handle);
  const result = {
    steps: step,
    converged,
    checkpoint,
    usage: { wallClockMs: Math.round(usage.wallClockMs), gpuMs: usage.gpuMs },
    environment: deps.environment,
    rows: facts.result.rows,
  };
  await deps.runs.recordResult(key.tenant, key.runId, result);
  const rows = facts.result.rows ?? { training: 0, holdout: 0 };
  await files.writeTrained(key, { model, step, converged, rows, usage: result.usage });
  await say(attempt, `trained: ${step} steps${converged ? '' : ', limit of iterations reached'}`);
  return { kind: 'TRAINED', step, ...(loss === undefined ? {} : { loss }) };
}

const classNames = ([negative, positive]: RunFacts['plan']['classes']): [string, string] => [
  String(negative),
  String(positive),
];

async function attemptRun(attempt: Attempt): Promise<RunTrainerResult> {
  const { deps, files, key, facts, beat } = attempt;
  const done = await files.findTrained(key);
  if (done !== undefined) return { kind: 'TRAINED', step: done.step };
  if (performance.now() >= attempt.deadline) {
    const [last] = await deps.runs.listCheckpoints(key.tenant, key.runId);
    await say(attempt, 'not started: the wall clock ran out');
    return { kind: 'BUDGET_EXCEEDED', step: last?.step ?? 0 };
  }
  const { table, holdout } = await loadTables(facts, deps.readParts, beat.signal);
  const rows = { training: table.rowCount, holdout: holdout.rowCount };
  const { trainer, seed, classes } = facts.plan;
  const job: TrainJob = {
    runId: jobKey(key),
    trainer,
    seed,
    classes: classNames(classes),
    table,
    holdout,
  };
  const withRows = { ...attempt, facts: { ...facts, result: { ...facts.result, rows } } };
  return follow(withRows, await startOrResume(withRows, job));
}

/**
 * Trains a run to its end, from the newest good checkpoint of an earlier attempt. Metrics and checkpoint rows are in
 * Postgres before a heartbeat names them. A cancellation and the end of the wall clock stop the trainer with a last
 * checkpoint.
 * @throws TRAINER_DIVERGED, LABEL_SINGLE_CLASS, TRAINER_INPUT_REFUSED, SPLIT_INVALID (final); others are retried
 */
export const createRunTrainer =
  (parts: {
    deps: TrainingDeps;
    files: RunFiles;
    trainer: Trainer;
    /** Tells the checkpoint files which attempt a job belongs to. */
    noteAttempt: (job: string, attempt: number) => void;
  }) =>
  async (input: RunTrainerInput): Promise<RunTrainerResult> => {
    const { tenant, runId } = input;
    const key: RunKey = { tenant, runId };
    const startedAt = performance.now();
    return keepBeating(async (beat) => {
      const { deps, files, trainer } = parts;
      const facts = await deps.runs.enterStage(workflowCaller(tenant), runId, 'RUNNING');
      const number = activityInfo().attempt;
      parts.noteAttempt(jobKey(key), number);
      const deadline = startedAt + input.maxWallClockMs - facts.elapsedMs;
      return attemptRun({ deps, files, trainer, key, facts, input, beat, number, deadline });
    });
  };
