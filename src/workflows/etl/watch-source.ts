import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import {
  allHandlersFinished,
  CancellationScope,
  condition,
  isCancellation,
  ParentClosePolicy,
  proxyActivities,
  setCurrentDetails,
  setHandler,
  sleep,
  startChild,
} from '@temporalio/workflow';
import type { createEtlActivities, WatchFacts } from '../../activities/etl/index.js';
import {
  addCounts,
  etlWorkflowId,
  noCounts,
  type BatchCounts,
  type IngestBatchInput,
  type IngestBatchResult,
  type WatchResume,
  type WatchSourceInput,
  type WatchSourceResult,
} from '../../domain/etl/contract.js';
import type { ChangePriority } from '../../domain/etl/ledger.js';
import { acceptWakes } from '../events/accept-wakes.js';
import { authorise } from '../events/authorise.js';
import { bookkeeping } from '../events/bookkeeping.js';
import { continueAsNew, shouldContinueAsNew } from '../events/continue-as-new.js';
import { trackStatus, type MoveStatus } from '../events/track-status.js';
import { ingestBatch } from './ingest-batch.js';
import { changesRecordedSignal } from './messages.js';
import { newBatchId } from './new-batch-id.js';
import { adoptOrphans, heldPauseOf, nextWindow, restOf } from './watch-window.js';

const { readWatch, pauseSource } =
  proxyActivities<ReturnType<typeof createEtlActivities>>(bookkeeping);

/** Everything a run of the watcher knows; the facts behind it are in Postgres. */
interface Watch extends WatchResume {
  input: WatchSourceInput;
  /** Someone said that there is something to look at. */
  woken: boolean;
  closing: boolean;
  /** Codes for which the source has to be paused. */
  misconfigured: string[];
  state: WatchFacts['state'];
  /** Batches' worth of changes that are due and not given to a batch yet. */
  due: number;
  waiting: number;
  /** Changes of documents that somebody holds; whoever it is tells nobody when they are free. */
  held: number;
  /** How often in a row nothing but such changes was found. */
  heldLooks: number;
  /** How often batches of nobody were run again. */
  adopted: Map<string, number>;
  /** A timer runs until the next look at them. */
  lookingAgain: boolean;
  /** Of the most urgent change that waits, as far as it was told. */
  urgency: ChangePriority;
  running: Set<string>;
  started: number;
  /** The window is at 0 until a timer ends. */
  resting: boolean;
}

const openWatch = (input: WatchSourceInput): Watch => ({
  input,
  window: input.resume?.window ?? input.limits.window,
  troubles: input.resume?.troubles ?? 0,
  unfinished: input.resume?.unfinished ?? [],
  counts: input.resume?.counts ?? noCounts,
  // Whatever came before this run's first look, a look finds it.
  woken: true,
  closing: false,
  misconfigured: [],
  state: 'ACTIVE',
  due: 0,
  waiting: 0,
  held: 0,
  heldLooks: 0,
  adopted: new Map(),
  lookingAgain: false,
  urgency: 3,
  running: new Set(),
  started: 0,
  resting: false,
});

const isWorking = ({ state }: Watch): boolean => state === 'ACTIVE' || state === 'DELETING';

const batchesIn = (changes: number, { limits }: WatchSourceInput): number =>
  Math.ceil(changes / limits.batch.maxDocuments);

function showCounts({ counts, waiting, held, running, window }: Watch): void {
  const { claimed, indexed, unchanged, quarantined } = counts;
  setCurrentDetails(
    `| claimed | indexed | unchanged | quarantined | waiting |\n|---|---|---|---|---|\n` +
      `| ${claimed} | ${indexed} | ${unchanged} | ${quarantined} | ${waiting + held} |\n\n` +
      `${running.size} of ${window} batches at work`,
  );
}

/** The window is at 0: nothing starts until the rest is over, then one batch tries. */
async function rest(watch: Watch): Promise<void> {
  watch.resting = true;
  await sleep(restOf(watch, watch.input.limits));
  watch.window = 1;
  watch.resting = false;
}

/** Nothing is at work or could be, and yet something waits. */
const waitsForHolders = (watch: Watch): boolean =>
  isWorking(watch) &&
  watch.held > 0 &&
  watch.due + watch.running.size + watch.unfinished.length === 0;

/** Looks again at what others hold: after a second, then later and later. */
async function lookAgain(watch: Watch): Promise<void> {
  watch.lookingAgain = true;
  await sleep(heldPauseOf(watch.heldLooks));
  watch.heldLooks += 1;
  watch.lookingAgain = false;
  watch.woken = true;
}

const settledOf = ({ indexed, unchanged, deleted, quarantined }: BatchCounts): number =>
  indexed + unchanged + deleted + quarantined;

/** What the end of a batch changes. */
function noteEnd(watch: Watch, result: IngestBatchResult): void {
  const { batchId, state, counts, waiting, held = 0, code } = result;
  watch.counts = addCounts(watch.counts, counts);
  if (state === 'DONE') {
    watch.waiting = waiting;
    watch.held = held;
    if (settledOf(counts) > 0) watch.heldLooks = 0;
    watch.due = batchesIn(waiting, watch.input);
    watch.urgency = result.urgency ?? watch.urgency;
  } else {
    watch.unfinished.push(batchId);
  }
  if (state === 'MISCONFIGURED' && code !== undefined) watch.misconfigured.push(code);
  // A source that goes ends with its last batch.
  const isIdle = watch.running.size === 0 && watch.due === 0 && watch.unfinished.length === 0;
  if (watch.state === 'DELETING' && isIdle) watch.woken = true;
  Object.assign(watch, nextWindow(watch, state === 'DONE', watch.input.limits.window));
  if (watch.window === 0 && !watch.resting) void rest(watch).catch(ignoreCancellation);
}

function ignoreCancellation(error: unknown): void {
  if (!isCancellation(error)) throw error;
}

/** Runs one batch as a child; however it ends, the watcher goes on. */
async function runBatch(watch: Watch, batchId: string): Promise<void> {
  const { tenant, sourceId, limits } = watch.input;
  // Where more is due than one batch takes there is nothing to linger for.
  const lingerMs = watch.due > 0 ? 0 : limits.batch.lingerMs;
  const input: IngestBatchInput = {
    tenant,
    sourceId,
    batchId,
    limits: { ...limits.batch, lingerMs },
  };
  let result: IngestBatchResult;
  try {
    const child = await startChild(ingestBatch, {
      args: [input],
      workflowId: etlWorkflowId(tenant, batchId),
      // A batch that ended in trouble is run again under its id, because its claims are.
      workflowIdReusePolicy: 'ALLOW_DUPLICATE',
      parentClosePolicy: ParentClosePolicy.ABANDON,
      cancellationType: 'ABANDON',
      staticSummary: `up to ${limits.batch.maxDocuments} documents of ${sourceId}`,
      // What a batch claims first is the most urgent, so it runs as that.
      priority: { priorityKey: watch.urgency, fairnessKey: tenant },
    });
    result = await child.result();
  } catch (error) {
    if (isCancellation(error)) throw error;
    // Somebody else runs it: the child of a watcher that was stopped.
    if (error instanceof WorkflowExecutionAlreadyStartedError) {
      watch.running.delete(batchId);
      return;
    }
    const code = 'OPERATION_FAILED';
    result = { batchId, state: 'TROUBLE', counts: noCounts, waiting: watch.waiting, code };
  }
  watch.running.delete(batchId);
  noteEnd(watch, result);
}

/** Starts as many batches as are due and the window allows; those that hold claims go first. */
function startBatches(watch: Watch): void {
  while (isWorking(watch) && !watch.resting && watch.running.size < watch.window) {
    const again = watch.unfinished.shift();
    if (again === undefined && watch.due === 0) return;
    if (again === undefined) watch.due -= 1;
    const batchId = again ?? newBatchId();
    watch.running.add(batchId);
    watch.started += 1;
    void runBatch(watch, batchId).catch(ignoreCancellation);
  }
}

/** Reads what is due, and in which state the source is. */
async function look(watch: Watch, move: MoveStatus): Promise<void> {
  const { tenant, sourceId } = watch.input;
  watch.woken = false;
  for (let code = watch.misconfigured.pop(); code !== undefined; code = watch.misconfigured.pop())
    await pauseSource({ tenant, sourceId, code });
  const before = watch.state;
  const own = [...watch.running, ...watch.unfinished];
  const { state, pending, held = 0, holders = [], urgency } = await readWatch({ tenant, sourceId });
  own.push(...watch.running, ...watch.unfinished);
  watch.unfinished.push(...adoptOrphans(holders, own, watch.adopted));
  watch.state = state;
  watch.waiting = pending;
  watch.held = held;
  watch.due = batchesIn(pending, watch.input);
  watch.urgency = urgency ?? watch.urgency;
  if (state === before) return;
  // A source that someone mended starts with what it may have.
  if (state === 'ACTIVE') {
    watch.window = watch.input.limits.window;
    watch.troubles = 0;
  }
  move({
    state: isWorking(watch) ? 'WATCHING' : state,
    waitingOn: isWorking(watch) ? 'nothing' : 'human',
  });
}

/** Looks from time to time although nobody said anything: one timer, whatever else happens. */
async function tick(watch: Watch): Promise<void> {
  for (;;) {
    await sleep(watch.input.limits.safetyTickMs);
    watch.woken = true;
  }
}

const isFull = ({ started, input: { limits } }: Watch): boolean =>
  started >= limits.maxBatches || shouldContinueAsNew(limits.maxHistoryEvents);

async function watchUntilFull(watch: Watch, move: MoveStatus): Promise<'FULL' | 'DELETED'> {
  const hasNews = () => watch.woken || watch.misconfigured.length > 0;
  const shouldLookAgain = () => waitsForHolders(watch) && !watch.lookingAgain;
  const canStart = () =>
    isWorking(watch) &&
    !watch.resting &&
    watch.running.size < watch.window &&
    (watch.due > 0 || watch.unfinished.length > 0);
  for (;;) {
    if (isFull(watch)) return 'FULL';
    if (hasNews()) await look(watch, move);
    if (watch.state === 'DELETED') return 'DELETED';
    startBatches(watch);
    if (shouldLookAgain()) void lookAgain(watch).catch(ignoreCancellation);
    showCounts(watch);
    await condition(() => hasNews() || canStart() || shouldLookAgain() || isFull(watch));
  }
}

/**
 * Follows one source for as long as there is one: keeps up to `window` batches at work while changes are due, and rests
 * while there are none. The backlog waits in Postgres; here is only how many batches it makes.
 *
 * WATCHING, or PAUSED and FAILED as the source's row says, until the source is DELETED. Batches are drained before the
 * run goes on as a new one; a batch that met trouble halves the window, down to 0 and a timer, and is run again under
 * its own id; a clean one widens it by one.
 */
export async function watchSource(input: WatchSourceInput): Promise<WatchSourceResult> {
  const watch = openWatch(input);
  const move = trackStatus({ state: 'WATCHING', waitingOn: 'nothing' });
  setHandler(changesRecordedSignal, () => {
    watch.woken = true;
  });
  acceptWakes(watch);
  const { tenant, sourceId, limits } = input;
  // What an earlier run hands on is no part of the start that was committed.
  const authorised = { tenant, sourceId, limits };
  await authorise(authorised);
  const ticking = new CancellationScope();
  void ticking.run(() => tick(watch)).catch(ignoreCancellation);
  const end = await watchUntilFull(watch, move);
  ticking.cancel();
  await condition(() => watch.running.size === 0 && !watch.resting);
  const { window, troubles, unfinished, counts } = watch;
  if (end === 'FULL') {
    const resume = { window, troubles, unfinished, counts };
    return continueAsNew<typeof watchSource>({ ...authorised, resume });
  }
  watch.closing = true;
  showCounts(watch);
  await condition(allHandlersFinished);
  // Documents that a source left behind can be deleted later: whoever says so while this run ends is heard.
  if (watch.woken) return continueAsNew<typeof watchSource>({ ...authorised });
  return { sourceId, state: 'DELETED', counts };
}
