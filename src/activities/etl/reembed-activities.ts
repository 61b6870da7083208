import { PlatformError } from '../../domain/errors.js';
import type { ReembedStanding } from '../../domain/etl/reembed.js';
import { workflowCaller } from '../run-of.js';
import { createBackfillSlice } from './backfill-slice.js';
import type { EtlDeps } from './etl-deps.js';
import { createFitTexts } from './fit-texts.js';
import type { ReembedDeps } from './reembed-deps.js';
import type { ShardLeases } from './shard-leases.js';

/** Names a generation of a tenant. */
interface GenerationKey {
  tenant: string;
  generationId: string;
}

/** What became of a flip. LAGGING: documents are behind. MOVED: another generation went live meanwhile. */
export type Flipped =
  { state: 'FLIPPED'; previousId: string | undefined } | { state: 'LAGGING' | 'MOVED' };

/** A generation that is still held. */
export interface Held {
  generationId: string;
  leftMs: number;
  lagging: number;
}

const codeOf = (error: unknown) => (error instanceof PlatformError ? error.code : undefined);

/** Makes the generation live, once: a repeat of a flip that was committed answers like the first. */
const createFlip =
  (deps: ReembedDeps) =>
  async (
    of: GenerationKey & { collectionId: string; epoch: number; holdMs: number; reason: string },
  ): Promise<Flipped> => {
    const { tenant, collectionId, generationId, epoch, holdMs, reason } = of;
    const caller = workflowCaller(tenant);
    const before = await deps.reembeds.readReembed({ tenant, generationId });
    if (before.state === 'LIVE') {
      const { previousLiveId: previousId } = before;
      return { state: 'FLIPPED', previousId };
    }
    if (before.epoch !== epoch) return { state: 'MOVED' };
    const flip = { collectionId, generationId, epoch, holdMs, reason };
    try {
      await deps.generations.flipGeneration(caller, flip);
    } catch (error) {
      if (codeOf(error) === 'GENERATION_BUILDING') return { state: 'LAGGING' };
      if (codeOf(error) === 'STALE_EPOCH') return { state: 'MOVED' };
      throw error;
    }
    return { state: 'FLIPPED', previousId: before.liveGenerationId };
  };

/** Drops a generation unless it is live; false where there was none to drop. */
async function dropUnlessLive(
  deps: ReembedDeps,
  key: GenerationKey,
  reason: string,
): Promise<boolean> {
  const { state } = await deps.reembeds.readReembed(key);
  if (state === 'GONE' || state === 'FITTING' || state === 'LIVE') return false;
  if (state === 'DROPPED') return true;
  try {
    await deps.generations.dropGeneration(workflowCaller(key.tenant), key.generationId, reason);
    return true;
  } catch (error) {
    // It went live again between the two looks.
    if (codeOf(error) === 'GENERATION_BUILDING') return false;
    throw error;
  }
}

/** Drops what was held long enough, and says what is still held. */
const createSettleHolds =
  (deps: ReembedDeps) =>
  async (of: {
    tenant: string;
    generationIds: readonly string[];
  }): Promise<{ held: Held[]; dropped: string[] }> => {
    const held: Held[] = [];
    const dropped: string[] = [];
    for (const generationId of of.generationIds) {
      const key = { tenant: of.tenant, generationId };
      const { state, holdLeftMs = 0, lagging } = await deps.reembeds.readReembed(key);
      if (state === 'HOLDING' && holdLeftMs > 0)
        held.push({ generationId, leftMs: holdLeftMs, lagging });
      else if (state === 'HOLDING' && (await dropUnlessLive(deps, key, 'held')))
        dropped.push(generationId);
    }
    return { held, dropped };
  };

/**
 * Activities of re-embedding. `backfillSlice`, `fitTexts` and `dropStore` run on queue `etl`, the others are bookkeeping.
 * @param leases that the other writers of this process use: one process is one owner
 */
export const createReembedActivities = (
  deps: EtlDeps & ReembedDeps,
  { withEpoch }: ShardLeases,
) => {
  const { reembeds, fits } = deps;
  return {
    backfillSlice: createBackfillSlice(deps, withEpoch),
    fitTexts: createFitTexts(deps),
    readReembed: (key: GenerationKey): Promise<ReembedStanding> => reembeds.readReembed(key),
    beginFit: (of: { tenant: string; fitId: string }) =>
      fits.beginFit(workflowCaller(of.tenant), of.fitId),
    readFit: async (of: { tenant: string; fitId: string }) => {
      const { state, code } = await fits.readFit(of.tenant, of.fitId);
      return { over: state !== 'RUNNING', code };
    },
    failFit: (of: { tenant: string; fitId: string; code: string }): Promise<void> =>
      fits.failFit(workflowCaller(of.tenant), of.fitId, of.code),
    beginReconcile: (of: GenerationKey) =>
      reembeds.beginReconcile(workflowCaller(of.tenant), of.generationId),
    readReconcile: (key: GenerationKey) => reembeds.readReconcile(key),
    beginGate: (of: GenerationKey) =>
      reembeds.beginGate(workflowCaller(of.tenant), of.generationId),
    readGate: (key: GenerationKey) => reembeds.readGate(key),
    askDecision: (of: GenerationKey & { reason: string; decisionMs: number }): Promise<void> => {
      const { tenant, generationId, reason, decisionMs } = of;
      return reembeds.askDecision(workflowCaller(tenant), generationId, { reason, decisionMs });
    },
    flipReembed: createFlip(deps),
    dropReembed: async (of: GenerationKey & { reason: string }): Promise<{ dropped: boolean }> => {
      const { tenant, generationId, reason } = of;
      return { dropped: await dropUnlessLive(deps, { tenant, generationId }, reason) };
    },
    settleHolds: createSettleHolds(deps),
    dropStore: async (key: GenerationKey): Promise<void> =>
      deps.dropPlace(await reembeds.findPlace(key)),
  };
};
