import {
  ActivityFailure,
  allHandlersFinished,
  ApplicationFailure,
  CancellationScope,
  condition,
  isCancellation,
  proxyActivities,
  TimeoutFailure,
} from '@temporalio/workflow';
import type { createDatasetsActivities } from '../../activities/datasets/index.js';
import type {
  PublicationFailure,
  PublishSnapshotInput,
  PublishSnapshotResult,
} from '../../domain/datasets/contract.js';
import type { PublicationEnd, Publishing } from '../../domain/datasets/publication-facts.js';
import { exceedsRejectShare } from '../../domain/datasets/reject-share.js';
import type { RuleCount } from '../../domain/datasets/staging.js';
import { failureOf, isErrorCode } from '../../domain/errors.js';
import { bookkeeping } from '../events/bookkeeping.js';
import { acceptWakes, type Wakes } from '../events/accept-wakes.js';
import { authorise } from '../events/authorise.js';
import { trackStatus, type MoveStatus } from '../events/track-status.js';

type Activities = ReturnType<typeof createDatasetsActivities>;
const {
  beginPublication,
  quarantinePublication,
  checkQuarantine,
  isPublicationCancelled,
  settlePublication,
} = proxyActivities<Activities>(bookkeeping);

/** The database's clock decides; a timer that fires before it agrees looks again this much later, at the least. */
const MIN_RECHECK_MS = 200;

/** The two passes over the rows, each with a summary that says for what. */
function rowStages({ dataset, limits }: PublishSnapshotInput) {
  const options = {
    taskQueue: 'etl',
    startToCloseTimeout: limits.stageTimeoutMs,
    scheduleToCloseTimeout: limits.workTimeoutMs,
    heartbeatTimeout: limits.heartbeatTimeoutMs,
    // Staged bytes are removed once nobody writes them any more.
    cancellationType: 'WAIT_CANCELLATION_COMPLETED' as const,
    retry: {
      initialInterval: limits.retryIntervalMs,
      backoffCoefficient: 2,
      maximumInterval: '60s' as const,
      maximumAttempts: limits.maxAttempts,
    },
  };
  const { stagePublication } = proxyActivities<Activities>({
    ...options,
    summary: `validate and redact the rows of ${dataset}`,
  });
  const { publishRows } = proxyActivities<Activities>({
    ...options,
    summary: `write the parts of ${dataset} and publish`,
  });
  return { stagePublication, publishRows };
}

/** Runs `work` until it is done or a wake finds a cancellation in Postgres, which cancels it. */
async function unlessCancelled<T>(
  input: PublishSnapshotInput,
  wakes: Wakes,
  work: () => Promise<T>,
): Promise<T> {
  const { tenant, publicationId } = input;
  const scope = new CancellationScope();
  const watch = new CancellationScope();
  const follow = async (): Promise<void> => {
    for (;;) {
      await condition(() => wakes.woken);
      wakes.woken = false;
      if (await isPublicationCancelled({ tenant, publicationId })) return scope.cancel();
    }
  };
  const watching = watch.run(follow).catch((error: unknown) => {
    if (!isCancellation(error)) throw error;
  });
  try {
    return await scope.run(work);
  } finally {
    watch.cancel();
    await CancellationScope.nonCancellable(() => watching);
  }
}

/** Waits for a steward, a cancellation, or the end of the batch's time by the database's clock. */
async function awaitSteward(
  input: PublishSnapshotInput,
  wakes: Wakes,
  move: (nextAtMs: number) => void,
): Promise<'RELEASED' | 'DISCARDED' | 'CANCELLED'> {
  const { tenant, publicationId, limits } = input;
  const key = { tenant, publicationId };
  let found = await quarantinePublication({ ...key, quarantineMs: limits.quarantineMs });
  while (found.state === 'WAITING') {
    const waitMs = Math.max(MIN_RECHECK_MS, found.remainingMs);
    move(Date.now() + waitMs);
    await condition(() => wakes.woken, waitMs);
    wakes.woken = false;
    found = await checkQuarantine(key);
  }
  return found.state;
}

/** Counts per rule for the current details: names and numbers only. */
function details(batch: { total: number; valid: number; rejected: number; rules: RuleCount[] }) {
  const { total, valid, rejected, rules } = batch;
  const head = `| rows | valid | rejected |\n|---|---|---|\n| ${total} | ${valid} | ${rejected} |`;
  if (rules.length === 0) return head;
  const cell = (text: string) => (text === '' ? 'row' : text.replaceAll('|', '\\|'));
  const lines = rules.map(
    ({ field, rule, severity, count }) => `| ${cell(field)} | ${rule} | ${severity} | ${count} |`,
  );
  return `${head}\n\n| field | rule | severity | count |\n|---|---|---|---|\n${lines.join('\n')}`;
}

async function stageAndPublish(
  input: PublishSnapshotInput,
  wakes: Wakes,
  move: MoveStatus,
): Promise<Publishing | PublicationEnd> {
  const { tenant, publicationId, maxRejectShareBp, limits } = input;
  const key = { tenant, publicationId };
  const stages = rowStages(input);
  if ((await beginPublication(key)) === 'CANCELLED') return { state: 'CANCELLED' };
  move({ state: 'VALIDATING', waitingOn: 'nothing' });
  const { maxListedRejects, partRows } = limits;
  const batch = await unlessCancelled(input, wakes, () =>
    stages.stagePublication({ ...key, maxListedRejects }),
  );
  move({ state: 'STAGED', waitingOn: 'nothing' }, details(batch));
  if (exceedsRejectShare({ ...batch, maxRejectShareBp })) {
    const decided = await awaitSteward(input, wakes, (nextAtMs) =>
      move({ state: 'QUARANTINED', waitingOn: 'human', nextAtMs }),
    );
    if (decided !== 'RELEASED') return { state: decided };
  }
  return unlessCancelled(input, wakes, () => stages.publishRows({ ...key, partRows }));
}

/** How a failed stage ends the publication. */
function endOf(error: unknown): PublicationEnd {
  if (isCancellation(error)) return { state: 'CANCELLED' };
  const cause = error instanceof ActivityFailure ? error.cause : error;
  const failed = (failure: PublicationFailure): PublicationEnd => ({ state: 'FAILED', failure });
  if (cause instanceof TimeoutFailure)
    return failed({
      code: 'OPERATION_FAILED',
      message: `A stage timed out (${cause.timeoutType}).`,
    });
  if (!(cause instanceof ApplicationFailure))
    return failed({ code: 'OPERATION_FAILED', message: 'A stage failed.' });
  const code = isErrorCode(cause.type) ? cause.type : 'OPERATION_FAILED';
  const more = cause.details?.[0] as { errors?: PublicationFailure['errors'] } | undefined;
  const errors = more?.errors ?? [];
  return failed({ code, message: cause.message, ...(errors.length > 0 ? { errors } : {}) });
}

/**
 * Turns an uploaded file into a snapshot.
 *
 * RECEIVED → PROFILING → VALIDATING → STAGED → PUBLISHED, or above the limit of rejected rows → QUARANTINED →
 * PUBLISHED | DISCARDED; FAILED and CANCELLED from any of them. The states are rows in Postgres; a decision or a
 * cancellation is a fact there, a wake only makes the run look.
 * @throws the code of the failure where the publication ends FAILED
 */
export async function publishSnapshot(input: PublishSnapshotInput): Promise<PublishSnapshotResult> {
  const wakes: Wakes = { woken: false, closing: false };
  const move = trackStatus({ state: 'RECEIVED', waitingOn: 'capacity' });
  acceptWakes(wakes);
  await authorise({ ...input });

  const { tenant, publicationId } = input;
  let result: Publishing | PublicationEnd;
  try {
    result = await stageAndPublish(input, wakes, move);
  } catch (error) {
    result = endOf(error);
  }
  wakes.closing = true;
  return CancellationScope.nonCancellable(async () => {
    if ('kind' in result && result.kind === 'PUBLISHED') {
      move({ state: 'PUBLISHED', waitingOn: 'nothing' });
      await condition(allHandlersFinished);
      return { publicationId, state: 'PUBLISHED', snapshotId: result.snapshotId };
    }
    const end: PublicationEnd = 'kind' in result ? { state: 'CANCELLED' } : result;
    const settled = await settlePublication({ tenant, publicationId, end });
    move({ state: settled.state, waitingOn: 'nothing' });
    await condition(allHandlersFinished);
    return conclude(input, end, settled);
  });
}

/** The result of a publication; a failure is thrown. A snapshot that won the race against the end stands. */
function conclude(
  { publicationId }: PublishSnapshotInput,
  { state, failure }: PublicationEnd,
  settled: { state: string; snapshotId?: string | undefined },
): PublishSnapshotResult {
  if (settled.state === 'PUBLISHED')
    return { publicationId, state: 'PUBLISHED', snapshotId: settled.snapshotId };
  if (failure === undefined) return { publicationId, state };
  const code = isErrorCode(failure.code) ? failure.code : 'OPERATION_FAILED';
  throw failureOf(code, failure.message, [{ state: settled.state, errors: failure.errors }]);
}
