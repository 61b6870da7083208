import {
  allHandlersFinished,
  condition,
  ContinueAsNew,
  isCancellation,
  patched,
  proxyActivities,
} from '@temporalio/workflow';
import type { createEtlActivities } from '../../activities/etl/index.js';
import type { ErrorCode } from '../../domain/errors.js';
import type { ScanResume, ScanSourceInput, ScanSourceResult } from '../../domain/etl/contract.js';
import type { ScanStanding } from '../../domain/etl/scan.js';
import { acceptWakes, type Wakes } from '../events/accept-wakes.js';
import { authorise } from '../events/authorise.js';
import { bookkeeping } from '../events/bookkeeping.js';
import { continueAsNew, shouldContinueAsNew } from '../events/continue-as-new.js';
import { trackStatus, type MoveStatus } from '../events/track-status.js';
import { codeOf, troubleOf } from './trouble-of.js';

type Activities = ReturnType<typeof createEtlActivities>;
const { failScan, pauseSource } = proxyActivities<Activities>(bookkeeping);

/** The database's clock decides; a timer that fires before it agrees looks again this much later, at the least. */
const MIN_RECHECK_MS = 200;

/** How far the listing is; without a cursor after the first page it is done. */
interface Listing {
  cursor: string | undefined;
  pages: number;
  entries: number;
}

/** Lists pages until the last one, or until this run has seen enough of them. */
async function listPages(input: ScanSourceInput): Promise<Listing & { isOver: boolean }> {
  const { tenant, scanId, sourceId, limits, resume } = input;
  const { listSourcePage } = proxyActivities<Activities>({
    taskQueue: 'etl',
    startToCloseTimeout: limits.pageTimeoutMs,
    scheduleToCloseTimeout: limits.workTimeoutMs,
    heartbeatTimeout: limits.heartbeatTimeoutMs,
    retry: {
      initialInterval: limits.retryIntervalMs,
      backoffCoefficient: 2,
      maximumInterval: '60s',
      maximumAttempts: limits.maxAttempts,
    },
    summary: `list ${sourceId}`,
  });
  let { cursor, pages, entries }: Listing = resume ?? { cursor: undefined, pages: 0, entries: 0 };
  for (let listed = 1; ; listed++) {
    const page = await listSourcePage({
      ...{ tenant, scanId, sourceId, cursor },
      maxEntries: limits.pageEntries,
      maxBytes: limits.pageBytes,
    });
    pages += 1;
    entries += page.entries;
    cursor = page.cursor;
    if (cursor === undefined) return { cursor, pages, entries, isOver: true };
    if (listed >= limits.pagesPerRun || shouldContinueAsNew(limits.maxHistoryEvents))
      return { cursor, pages, entries, isOver: false };
  }
}

/** Applies the listing; where that would delete a lot, waits for a decision until the database says it is too late. */
async function applyOrWait(
  input: ScanSourceInput,
  wakes: Wakes,
  move: MoveStatus,
): Promise<ScanStanding> {
  const { tenant, scanId, limits } = input;
  const guard = { minDeletes: limits.guardMinDeletes, decisionMs: limits.decisionMs };
  // A large listing takes minutes to apply; a worker that dies over it must not cost as many.
  const { applyScan } = proxyActivities<Activities>({
    ...bookkeeping,
    startToCloseTimeout: '10m',
    heartbeatTimeout: limits.heartbeatTimeoutMs,
  });
  for (;;) {
    wakes.woken = false;
    const standing = await applyScan({ tenant, scanId, ...guard });
    if (standing.state !== 'WAITING') return standing;
    const waitMs = Math.max(MIN_RECHECK_MS, standing.remainingMs);
    move(
      { state: 'WAITING', waitingOn: 'human', nextAtMs: Date.now() + waitMs },
      `${standing.deletes} documents would be deleted: a person decides.`,
    );
    await condition(() => wakes.woken, waitMs);
  }
}

/** Ends the scan; what only a person mends pauses the source, because it would fail every scan that follows. */
async function fail({ tenant, scanId, sourceId }: ScanSourceInput, code: ErrorCode) {
  await failScan({ tenant, scanId, code });
  if (troubleOf(code) === 'MISCONFIGURED' && patched('pause-misconfigured-source'))
    await pauseSource({ tenant, sourceId, code });
  return code;
}

/**
 * Lists a pull source and turns the difference into changes.
 *
 * RUNNING → APPLIED, or above the guard of the source → WAITING → APPLIED | DISCARDED; FAILED where a page could not be
 * read, and then nothing is deleted; what only a change of settings mends pauses the source besides. The listing and the decision are rows in Postgres; a wake only makes the run look.
 */
export async function scanSource(input: ScanSourceInput): Promise<ScanSourceResult> {
  const wakes: Wakes = { woken: false, closing: false };
  const move = trackStatus({ state: 'RUNNING', waitingOn: 'nothing' });
  acceptWakes(wakes);
  const { tenant, scanId, sourceId, limits } = input;
  // Where an earlier run stopped is no part of the start that was committed.
  const authorised = { tenant, scanId, sourceId, limits };
  await authorise(authorised);
  let seen: Pick<ScanResume, 'pages' | 'entries'> = { pages: 0, entries: 0 };
  let standing: Pick<ScanStanding, 'state' | 'upserts' | 'deletes'>;
  let code: string | undefined;
  try {
    const { cursor, pages, entries, isOver } = await listPages(input);
    seen = { pages, entries };
    if (!isOver && cursor !== undefined) {
      const resume: ScanResume = { cursor, pages, entries };
      return await continueAsNew<typeof scanSource>({ ...authorised, resume });
    }
    standing = await applyOrWait(input, wakes, move);
  } catch (error) {
    if (isCancellation(error) || error instanceof ContinueAsNew) throw error;
    code = await fail(input, codeOf(error));
    standing = { state: 'FAILED', upserts: 0, deletes: 0 };
  }
  wakes.closing = true;
  const { upserts, deletes } = standing;
  const state =
    standing.state === 'APPLIED' || standing.state === 'DISCARDED' ? standing.state : 'FAILED';
  move({ state, waitingOn: 'nothing' });
  await condition(allHandlersFinished);
  return { scanId, state, ...seen, upserts, deletes, ...(code === undefined ? {} : { code }) };
}
