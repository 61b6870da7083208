import type { createReembedActivities } from '../../src/activities/etl/index.js';
import { PlatformError } from '../../src/domain/errors.js';
import {
  defaultCareLimits,
  etlWorkflowId,
  reconcileGenerationStart,
} from '../../src/domain/etl/contract.js';
import {
  defaultReembedLimits,
  fitEmbedderStart,
  type ReembedLimits,
} from '../../src/domain/etl/reembed-contract.js';
import type { ReembedStanding } from '../../src/domain/etl/reembed.js';
import type { StartRequest } from '../../src/domain/events/contract.js';
import { retrievalEvaluationWorkflowId } from '../../src/domain/retrieval/evaluation-contract.js';
import type { Verdict } from '../../src/domain/verdict.js';

type Activities = ReturnType<typeof createReembedActivities>;

/** Limits of a test: everything that would take days takes moments. */
export const quickLimits: ReembedLimits = {
  ...defaultReembedLimits,
  step: { ...defaultCareLimits, retryIntervalMs: 20, maxAttempts: 2 },
  restMs: 50,
  restMaxMs: 200,
  decisionMs: 60_000,
  lookMs: 60_000,
  drainMs: 10,
  childLookMs: 50,
};

interface MemoryGeneration {
  state: ReembedStanding['state'];
  lagging: number;
  holdUntilMs?: number;
  previousLiveId?: string | undefined;
}

/** A collection with its generations in memory: enough for the shape of the run, no proof of the ledger. */
export class ReembedWorld {
  readonly tenant = 'default';
  readonly old = 'gen_old';
  readonly next: string;
  epoch = 1;
  live = this.old;
  generations = new Map<string, MemoryGeneration>([[this.old, { state: 'LIVE', lagging: 0 }]]);
  decision: 'flip' | 'drop' | undefined;
  decideUntilMs: number | undefined;
  verdict: Verdict = 'PASS';
  evaluations = 0;
  reconciles = 0;
  fitCode: string | undefined;
  slices: string[] = [];
  atOnce = 0;
  mostAtOnce = 0;
  /** Tries of slices that fail. */
  failures = 0;
  dropped: string[] = [];
  storesRemoved: string[] = [];
  /** What became of the new store, in order. */
  built: string[] = [];
  /** Tries of a compaction that fail. */
  compactionFailures = 0;
  /** Called before each flip. */
  beforeFlip: () => void = () => undefined;

  constructor(name: string, lagging: number, state: 'BUILDING' | 'FITTING' = 'BUILDING') {
    this.next = `gen_${name}`;
    this.generations.set(this.next, { state, lagging });
  }

  of(generationId: string): MemoryGeneration {
    const found = this.generations.get(generationId);
    if (found === undefined) throw new PlatformError('NOT_FOUND', generationId);
    return found;
  }

  /** What `POST :rollback` does to the rows. */
  rollback(holdMs: number): void {
    this.generations.set(this.next, {
      ...this.of(this.next),
      state: 'HOLDING',
      holdUntilMs: Date.now() + holdMs,
    });
    this.generations.set(this.old, { state: 'LIVE', lagging: 0 });
    this.live = this.old;
    this.epoch += 1;
  }

  async #slice(generationId: string, batchId: string, most: number) {
    this.atOnce += 1;
    this.mostAtOnce = Math.max(this.mostAtOnce, this.atOnce);
    try {
      await new Promise((resolve) => setTimeout(resolve, 20));
      if (this.failures > 0) {
        this.failures -= 1;
        throw new PlatformError('SINK_UNAVAILABLE', 'The store is down.');
      }
      const generation = this.of(generationId);
      const written = Math.min(most, generation.lagging);
      generation.lagging -= written;
      this.slices.push(batchId);
      return { claimed: written, written, stopped: 0, lost: 0 };
    } finally {
      this.atOnce -= 1;
    }
  }

  #standing(generationId: string): ReembedStanding {
    const found = this.generations.get(generationId);
    const { state = 'GONE', lagging = 0, holdUntilMs } = found ?? {};
    return {
      ...{ state, lagging, epoch: this.epoch, liveGenerationId: this.live },
      previousLiveId: found?.previousLiveId,
      decision: this.decision,
      decisionLeftMs: this.decideUntilMs && Math.max(0, this.decideUntilMs - Date.now()),
      holdLeftMs: holdUntilMs && Math.max(0, holdUntilMs - Date.now()),
    };
  }

  #flip(
    generationId: string,
    epoch: number,
    holdMs: number,
  ): Awaited<ReturnType<Activities['flipReembed']>> {
    this.beforeFlip();
    if (this.epoch !== epoch) return { state: 'MOVED' };
    if (this.of(generationId).lagging > 0) return { state: 'LAGGING' };
    const previousId = this.live;
    this.generations.set(previousId, {
      ...this.of(previousId),
      state: 'HOLDING',
      holdUntilMs: Date.now() + holdMs,
    });
    this.generations.set(generationId, { state: 'LIVE', lagging: 0, previousLiveId: previousId });
    this.live = generationId;
    this.epoch += 1;
    this.built.push('live');
    return { state: 'FLIPPED', previousId };
  }

  #drop(generationId: string): boolean {
    const generation = this.of(generationId);
    if (generation.state === 'LIVE') return false;
    generation.state = 'DROPPED';
    this.dropped.push(generationId);
    return true;
  }

  #settleHolds(generationIds: readonly string[]) {
    const held: { generationId: string; leftMs: number; lagging: number }[] = [];
    const dropped: string[] = [];
    for (const generationId of generationIds) {
      const { state, holdLeftMs = 0, lagging } = this.#standing(generationId);
      if (state !== 'HOLDING') continue;
      if (holdLeftMs > 0) held.push({ generationId, leftMs: holdLeftMs, lagging });
      else if (this.#drop(generationId)) dropped.push(generationId);
    }
    return { held, dropped };
  }

  #evaluationStart(): StartRequest {
    const { tenant } = this;
    const evaluationId = `evr_${this.next}_${(this.evaluations += 1)}`;
    return {
      workflowId: retrievalEvaluationWorkflowId(tenant, evaluationId),
      workflowType: 'evaluateRetrieval',
      taskQueue: 'orchestration',
      input: { tenant, evaluationId, timeoutMs: 60_000, heartbeatMs: 60_000 },
      options: { summary: 'evaluate', searchAttributes: {}, priorityKey: 5 },
      startedBy: 'api',
    };
  }

  reembed(): Activities {
    return {
      backfillSlice: ({ generationId, batchId, maxDocuments }) =>
        this.#slice(generationId, batchId, maxDocuments),
      fitTexts: async () => {
        if (this.fitCode !== undefined)
          throw new PlatformError('EMBEDDER_MISCONFIGURED', 'There is nothing to fit on.');
        this.of(this.next).state = 'BUILDING';
        return { texts: 10, terms: 5, bytes: 100 };
      },
      readReembed: async ({ generationId }) => this.#standing(generationId),
      beginFit: async ({ tenant, fitId }) => fitEmbedderStart({ tenant, fitId, embedder: 'lsa' }),
      readFit: async () => ({ over: true, code: this.fitCode }),
      failFit: async ({ code }) => {
        this.fitCode = code;
        this.generations.delete(this.next);
      },
      beginReconcile: async ({ tenant, generationId }) => {
        const reconcileId = `rec_${generationId}_${(this.reconciles += 1)}`;
        return reconcileGenerationStart({ tenant, reconcileId, generationId }, 'api');
      },
      readReconcile: async () => ({ over: true, done: true }),
      beginGate: async () => this.#evaluationStart(),
      readGate: async () => ({ over: true, verdict: this.verdict }),
      askDecision: async ({ decisionMs }) => {
        this.decideUntilMs ??= Date.now() + decisionMs;
      },
      flipReembed: async ({ generationId, epoch, holdMs }) =>
        this.#flip(generationId, epoch, holdMs),
      dropReembed: async ({ generationId }) => ({ dropped: this.#drop(generationId) }),
      settleHolds: async ({ generationIds }) => this.#settleHolds(generationIds),
      dropStore: async ({ generationId }) => void this.storesRemoved.push(generationId),
    };
  }

  activities(): Record<string, (input: never) => Promise<unknown>> {
    return {
      authoriseStart: async () => undefined,
      reconcileSlice: async () => ({ rows: 1, orphans: 0, missing: 0, stale: 0 }),
      settleReconcile: async () => void this.built.push('reconciled'),
      compactSink: async ({ generationId }: { generationId: string }) => {
        if (this.compactionFailures > 0) {
          this.compactionFailures -= 1;
          throw new PlatformError('SINK_UNAVAILABLE', 'The store is down.');
        }
        this.built.push(`compacted ${generationId}`);
        return { compacted: true, rows: 1 };
      },
      measureRetrieval: async () => {
        this.built.push('judged');
        return { verdict: this.verdict };
      },
      failRetrieval: async () => undefined,
      ...this.reembed(),
    };
  }

  workflowId(): string {
    return etlWorkflowId(this.tenant, this.next);
  }
}
