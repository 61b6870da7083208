import {
  ActivityFailure,
  allHandlersFinished,
  ApplicationFailure,
  CancellationScope,
  condition,
  isCancellation,
  proxyActivities,
  TimeoutFailure,
  upsertSearchAttributes,
} from '@temporalio/workflow';
import type { createTrainingActivities } from '../../activities/training/index.js';
import { failureOf, isErrorCode } from '../../domain/errors.js';
import type {
  RunFailure,
  TrainModelInput,
  TrainModelResult,
} from '../../domain/training/contract.js';
import type { Registration, RunEnd, RunOutcome } from '../../domain/training/run-facts.js';
import { searchAttributes } from '../../domain/search-attributes.js';
import { bookkeeping } from '../events/bookkeeping.js';
import { acceptWakes } from '../events/accept-wakes.js';
import { authorise } from '../events/authorise.js';
import { trackStatus, type MoveStatus } from '../events/track-status.js';

type Activities = ReturnType<typeof createTrainingActivities>;
const { admitTraining, isTrainingCancelled, settleTraining, registerVersion } =
  proxyActivities<Activities>(bookkeeping);

/** Time for reading the rows before and writing the files after the work itself. */
const MARGIN_MS = 300_000;

/** The heavy stages, each with its own limits and a summary that says for what. */
function heavyStages({ model, trainerKind, maxWallClockMs, limits }: TrainModelInput) {
  const options = {
    taskQueue: 'training',
    scheduleToStartTimeout: limits.admissionTimeoutMs,
    heartbeatTimeout: limits.heartbeatTimeoutMs,
    // A cancelled trainer writes its last checkpoint before the run ends.
    cancellationType: 'WAIT_CANCELLATION_COMPLETED' as const,
    retry: {
      initialInterval: limits.retryIntervalMs,
      backoffCoefficient: 2,
      maximumInterval: '60s' as const,
      maximumAttempts: limits.maxAttempts,
    },
  };
  const { runTrainer } = proxyActivities<Activities>({
    ...options,
    startToCloseTimeout: maxWallClockMs + limits.stopGraceMs + MARGIN_MS,
    summary: `train ${model} with ${trainerKind}`,
  });
  const short = { ...options, startToCloseTimeout: limits.stageTimeoutMs };
  const { evaluateHoldout } = proxyActivities<Activities>({
    ...short,
    summary: `score the holdout of ${model}`,
  });
  const { packageModel } = proxyActivities<Activities>({
    ...short,
    summary: `export ${model} as ONNX and compare`,
  });
  return { runTrainer, evaluateHoldout, packageModel };
}

/** What the stages came to: a registered version, or an end without one. */
type Work = Registration | { kind: 'ENDED'; end: RunEnd };

const ended = (state: RunEnd['state'], failure?: RunFailure): Work => ({
  kind: 'ENDED',
  end: { state, failure },
});

/** One row of the current details; figures only. */
function table(figures: Record<string, number | string | undefined>): string {
  const shown = Object.entries(figures).flatMap(([name, value]) =>
    value === undefined ? [] : [[name, typeof value === 'number' ? round(value) : value] as const],
  );
  const line = (cells: readonly (string | number)[]) => `| ${cells.join(' | ')} |`;
  return [
    line(shown.map(([name]) => name)),
    line(shown.map(() => '---')),
    line(shown.map(([, value]) => value)),
  ].join('\n');
}
const round = (value: number): number => Number(value.toPrecision(6));

async function trainAndRegister(input: TrainModelInput, move: MoveStatus): Promise<Work> {
  const { tenant, runId, limits } = input;
  const run = { tenant, runId };
  const stages = heavyStages(input);
  const admission = await admitTraining(run);
  if (admission.kind === 'CANCELLED') return ended('CANCELLED');
  if (admission.kind === 'REFUSED') return ended('REJECTED_INPUT', admission.failure);
  move({ state: 'RUNNING', waitingOn: 'nothing' });
  const trained = await stages.runTrainer({
    ...run,
    maxWallClockMs: input.maxWallClockMs,
    stopGraceMs: limits.stopGraceMs,
  });
  const { step, loss } = trained;
  if (trained.kind === 'CANCELLED') return ended('CANCELLED');
  if (trained.kind === 'BUDGET_EXCEEDED')
    return ended('BUDGET_EXCEEDED', {
      code: 'WALL_CLOCK_EXCEEDED',
      message: `The wall clock of ${input.maxWallClockMs} ms ran out at step ${step}.`,
    });
  move({ state: 'EVALUATING_HOLDOUT', waitingOn: 'nothing' }, table({ step, loss }));
  const { metrics } = await stages.evaluateHoldout(run);
  move({ state: 'PACKAGING', waitingOn: 'nothing' }, table({ step, loss, ...metrics }));
  const { parityRows, goldenRows } = limits;
  const made = await stages.packageModel({ ...run, parityRows, goldenRows });
  const parity = made.parity.maxAbsDifference;
  const registration = await registerVersion(run);
  const figures = { step, loss, ...metrics, parity };
  if (registration.kind !== 'REGISTERED') return registration;
  const { version } = registration;
  move({ state: 'REGISTERED', waitingOn: 'nothing' }, table({ version, ...figures }));
  upsertSearchAttributes([{ key: searchAttributes.Version, value: `v${version}` }]);
  return registration;
}

/** Refusals of the data itself: the run was fine when it was asked for, its snapshot no longer is. */
const INPUT_CODES: readonly string[] = ['SNAPSHOT_NOT_LIVE', 'PURPOSE_DENIED'];

/** How a failed stage ends the run. */
function endOf(error: unknown): RunEnd {
  if (isCancellation(error)) return { state: 'CANCELLED' };
  const cause = error instanceof ActivityFailure ? error.cause : error;
  if (cause instanceof TimeoutFailure) {
    const noSlot = cause.timeoutType === 'SCHEDULE_TO_START';
    return {
      state: 'FAILED',
      failure: noSlot
        ? { code: 'ADMISSION_TIMEOUT', message: 'No training slot became free in time.' }
        : { code: 'OPERATION_FAILED', message: `A stage timed out (${cause.timeoutType}).` },
    };
  }
  if (!(cause instanceof ApplicationFailure))
    return { state: 'FAILED', failure: { code: 'OPERATION_FAILED', message: 'A stage failed.' } };
  const code = isErrorCode(cause.type) ? cause.type : 'OPERATION_FAILED';
  const details = cause.details?.[0] as { errors?: RunFailure['errors'] } | undefined;
  const errors = details?.errors ?? [];
  return {
    state: INPUT_CODES.includes(code) ? 'REJECTED_INPUT' : 'FAILED',
    failure: { code, message: cause.message, ...(errors.length > 0 ? { errors } : {}) },
  };
}

/** Follows wakes until one of them finds a cancellation in Postgres, then ends the work. */
async function followWakes(
  input: TrainModelInput,
  wakes: { state: { woken: boolean }; work: CancellationScope },
): Promise<void> {
  const { state } = wakes;
  for (;;) {
    await condition(() => state.woken);
    state.woken = false;
    if (!(await isTrainingCancelled({ tenant: input.tenant, runId: input.runId }))) continue;
    wakes.work.cancel();
    return;
  }
}

/**
 * Trains a model on a snapshot and registers the version.
 *
 * QUEUED → ADMITTED → RUNNING → EVALUATING_HOLDOUT → PACKAGING → REGISTERED | FAILED | CANCELLED | BUDGET_EXCEEDED |
 * REJECTED_INPUT. The states are rows in Postgres; a cancellation is a fact there, a wake only makes the run look.
 * @throws the code of the failure where the run ends FAILED, BUDGET_EXCEEDED or REJECTED_INPUT
 */
export async function trainModel(input: TrainModelInput): Promise<TrainModelResult> {
  const state = { woken: false, closing: false };
  const move = trackStatus({ state: 'QUEUED', waitingOn: 'capacity' });
  acceptWakes(state);
  await authorise({ ...input });

  const { tenant, runId } = input;
  const work = new CancellationScope();
  const watch = new CancellationScope();
  const watching = watch
    .run(() => followWakes(input, { state, work }))
    .catch((error: unknown) => {
      if (!isCancellation(error)) throw error;
    });
  let result: Work;
  try {
    result = await work.run(() => trainAndRegister(input, move));
  } catch (error) {
    result = { kind: 'ENDED', end: endOf(error) };
  }
  state.closing = true;
  watch.cancel();
  await CancellationScope.nonCancellable(() => watching);
  if (result.kind === 'REGISTERED') {
    await condition(allHandlersFinished);
    const { version, artifactDigest } = result;
    return { runId, state: 'REGISTERED', version, artifactDigest };
  }
  const end = endWithoutVersion(result);
  const outcome = await CancellationScope.nonCancellable(async () => {
    const settled = await settleTraining({ tenant, runId, end });
    move({ state: settled.state, waitingOn: 'nothing' });
    await condition(allHandlersFinished);
    return settled;
  });
  return conclude(input, end, outcome);
}

function endWithoutVersion(result: Exclude<Work, { kind: 'REGISTERED' }>): RunEnd {
  if (result.kind === 'ENDED') return result.end;
  if (result.kind === 'CANCELLED') return { state: 'CANCELLED' };
  return { state: 'REJECTED_INPUT', failure: result.failure };
}

/** The result of a cancelled run; the failure of any other. A registration that won the race against both stands. */
function conclude(input: TrainModelInput, end: RunEnd, outcome: RunOutcome): TrainModelResult {
  const { runId } = input;
  if (outcome.state === 'REGISTERED')
    return { runId, state: 'REGISTERED', version: outcome.version };
  const { failure } = end;
  if (failure === undefined) return { runId, state: 'CANCELLED' };
  const code = isErrorCode(failure.code) ? failure.code : 'OPERATION_FAILED';
  throw failureOf(code, failure.message, [{ state: outcome.state, errors: failure.errors }]);
}
