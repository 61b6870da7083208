import { cancelled, heartbeat, sleep } from '@temporalio/activity';
import {
  judgePropagation,
  judgeReadiness,
  type Readiness,
} from '../../domain/release/readiness.js';
import { killOn } from '../../domain/release/routing.js';
import type { ReleaseRecord } from '../../domain/release/record.js';
import type { ReleaseDeps } from './release-deps.js';

type Deps = Pick<ReleaseDeps, 'loadRelease' | 'leases' | 'readPointer'>;

const LOOK_MS = 200;

/** Looks until it is well, hopeless or over; at least once. A cancelled wait throws. */
async function lookUntil(timeoutMs: number, look: () => Promise<Readiness>): Promise<Readiness> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const found = await look();
    if (found.ok || found.hopeless || performance.now() >= deadline) return found;
    heartbeat({ laggards: found.laggards.length });
    await Promise.race([sleep(LOOK_MS), cancelled()]);
  }
}

/**
 * The versions that have to be loaded: the candidate, and the active version, which is where a rollback goes; an
 * active version under a kill serves nobody and is not asked for.
 */
async function versionsOf(deps: Deps, record: ReleaseRecord): Promise<number[]> {
  const { routing, kills } = await deps.readPointer(record.tenant, record);
  const active = routing?.active ?? null;
  const asked =
    record.strategy !== 'rollback' && active !== null && killOn(kills, active) === undefined;
  return [...new Set([record.version, ...(asked ? [active] : [])])];
}

/**
 * Waits until serving processes report the release's versions as loaded and probed: one of them, or all. Reads leases
 * alone; nothing is changed.
 * @param asked.timeoutMs how long to look; 0 looks once
 */
export const createAwaitVersionReady =
  (deps: Deps) =>
  async (asked: {
    tenant: string;
    releaseId: string;
    need: 'one' | 'all';
    timeoutMs: number;
  }): Promise<Readiness> => {
    const record = await deps.loadRelease(asked.tenant, asked.releaseId);
    const versions = await versionsOf(deps, record);
    return lookUntil(asked.timeoutMs, async () =>
      judgeReadiness(await deps.leases(asked.tenant, record), versions, asked.need),
    );
  };

/** Waits until every live serving process holds an epoch; laggards are named where the time is over. */
export const createAwaitEpochPropagated =
  (deps: Deps) =>
  async (asked: {
    tenant: string;
    releaseId: string;
    epoch: number;
    timeoutMs: number;
  }): Promise<Readiness> => {
    const record = await deps.loadRelease(asked.tenant, asked.releaseId);
    return lookUntil(asked.timeoutMs, async () =>
      judgePropagation(await deps.leases(asked.tenant, record), asked.epoch),
    );
  };
