import type { ReleaseOrder, ReleaseProgress } from '../../domain/release/contract.js';
import type { ReleaseRecord } from '../../domain/release/record.js';
import { blockingKill } from '../../domain/release/routing.js';
import { eventOfOrder, transition } from '../../domain/release/transitions.js';
import type { WaitingOn } from '../../domain/search-attributes.js';
import { workflowCaller } from '../run-of.js';
import { pauseForKill } from './pause.js';
import type { ReleaseDeps } from './release-deps.js';

type Deps = Pick<
  ReleaseDeps,
  'loadRelease' | 'advanceRelease' | 'nextOrder' | 'ignoreOrder' | 'readPointer'
>;

/** Orders that one look carries out at most: a flood of them is seen at the next wake. */
const ORDERS_PER_LOOK = 20;

const words: Record<ReleaseOrder, string> = {
  pause: 'paused',
  resume: 'resumed',
  proceed: 'proceeded',
  abort: 'stopped',
  supersede: 'stopped',
};
const waits: Record<ReleaseOrder, WaitingOn> = {
  pause: 'human',
  resume: 'nothing',
  proceed: 'nothing',
  abort: 'nothing',
  supersede: 'nothing',
};
const isOrder = (command: string): command is ReleaseOrder => Object.hasOwn(words, command);

/** Carries out one order; one that is no longer legal is marked and forgotten. */
async function carryOut(
  deps: Deps,
  record: ReleaseRecord,
  order: { commandId: string; command: string; reason: string; actor: string },
): Promise<void> {
  const { tenant, releaseId, progress, plan } = record;
  const { command, commandId, actor, reason } = order;
  const event = isOrder(command) ? eventOfOrder(command) : undefined;
  const machine = event === undefined ? undefined : transition(progress, event, plan);
  if (machine === undefined || event === undefined || !isOrder(command)) {
    return deps.ignoreOrder(tenant, commandId);
  }
  const failure =
    event.type === 'REVERT' ? { failure: { code: 'OPERATION_FAILED', message: reason } } : {};
  await deps.advanceRelease(workflowCaller(tenant), {
    releaseId,
    expectedSeq: progress.seq,
    machine,
    reason,
    waitingOn: waits[command],
    patch: {
      pauseDeadlineMs: command === 'pause' ? progress.nowMs + plan.pauseTimeoutMs : null,
    },
    ...failure,
    word: words[command],
    order: { commandId, actor },
  });
}

/**
 * Looks at the facts behind a wake: orders of people, and kill switches. A wake without a fact changes nothing.
 * Idempotent.
 */
export const createHeedReleaseOrders =
  (deps: Deps) =>
  async (of: { tenant: string; releaseId: string }): Promise<ReleaseProgress> => {
    const { tenant, releaseId } = of;
    for (let looked = 0; looked < ORDERS_PER_LOOK; looked++) {
      const order = await deps.nextOrder(tenant, releaseId);
      if (order === undefined) break;
      await carryOut(deps, await deps.loadRelease(tenant, releaseId), order);
    }
    const record = await deps.loadRelease(tenant, releaseId);
    const { kills } = await deps.readPointer(tenant, record);
    const pausable = transition(record.progress, { type: 'PAUSE', reason: 'KILL' }, record.plan);
    if (pausable === undefined || blockingKill(kills, record) === undefined) return record.progress;
    return pauseForKill(deps, record);
  };
