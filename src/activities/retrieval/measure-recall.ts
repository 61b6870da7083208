import { activityInfo, cancellationSignal, heartbeat } from '@temporalio/activity';
import { PlatformError } from '../../domain/errors.js';
import type { GenerationFacts } from '../../domain/etl/ledger.js';
import { accessFilter, type VectorSink } from '../../domain/etl/vector-sink.js';
import type { Caller } from '../../domain/events/change.js';
import { workflowCaller } from '../run-of.js';
import { probeRecall } from './probe-recall.js';

/** What a probe of a generation begins with. */
interface ProbeFacts {
  generation: GenerationFacts;
  /** Vectors of earlier probes; fewer than 200 are filled up from rows. */
  vectors: Float32Array[];
  /** Rows to take further vectors from, one of a document, in an order that has nothing to do with content. */
  sampleRowIds: string[];
  /** All principals that documents of the collection name: a probe looks at everything. */
  principals: string[];
}

/** What measuring recall asks for. */
export interface ProbeDeps {
  /** @throws NOT_FOUND where it is dropped */
  findProbe: (tenant: string, generationId: string) => Promise<ProbeFacts>;
  /** Keeps vectors and result; answers how often in a row it was low. */
  saveProbe: (
    caller: Caller,
    generationId: string,
    probe: { vectors: readonly Float32Array[]; recallBp: number; low: boolean },
  ) => Promise<{ lowInARow: number }>;
  /** Builds the collection's live generation anew from stored text. @throws GENERATION_BUILDING, NOT_FOUND */
  rebuild: (caller: Caller, collectionId: string) => Promise<unknown>;
  /** @throws SINK_UNKNOWN, SINK_REFUSED */
  sink: (tenant: string, generation: GenerationFacts) => Promise<VectorSink>;
}

/** Vectors of a probe. */
const VECTORS = 200;
const FETCH_ROWS = 100;
/** Low probes in a row after which an index is built anew. */
const REBUILD_AFTER = 2;

/** An index that stays low is built anew; one that is being built already, or is live no more, is left alone. */
async function rebuild(deps: ProbeDeps, caller: Caller, collectionId: string): Promise<void> {
  try {
    await deps.rebuild(caller, collectionId);
  } catch (error) {
    const isUnderWay = error instanceof PlatformError && error.code === 'GENERATION_BUILDING';
    if (!isUnderWay) throw error;
  }
}

/** Vectors of stored rows; rows that went meanwhile are left out. */
async function vectorsOf(sink: VectorSink, rowIds: readonly string[]): Promise<Float32Array[]> {
  const vectors: Float32Array[] = [];
  for (let at = 0; at < rowIds.length; at += FETCH_ROWS)
    for (const { vector } of await sink.fetch(rowIds.slice(at, at + FETCH_ROWS)))
      vectors.push(vector);
  return vectors;
}

/**
 * Recall@10 of a generation's index against exact search, over the same 200 vectors every night (etl.md §11). Low twice in
 * a row: the generation is built anew.
 * @returns null where there is nothing to ask about
 * @throws SINK_UNAVAILABLE (retryable), NOT_FOUND
 */
export const createMeasureRecall =
  (deps: ProbeDeps) =>
  async ({ tenant, generationId }: { tenant: string; generationId: string }) => {
    const beating = setInterval(heartbeat, (activityInfo().heartbeatTimeoutMs ?? 30_000) / 4);
    try {
      const facts = await deps.findProbe(tenant, generationId);
      if (facts.principals.length === 0) return null;
      const sink = await deps.sink(tenant, facts.generation);
      const missing = Math.max(0, VECTORS - facts.vectors.length);
      const fresh = await vectorsOf(sink, facts.sampleRowIds.slice(0, missing));
      const vectors = [...facts.vectors, ...fresh];
      const signal = cancellationSignal();
      const probed = await probeRecall(sink, {
        vectors,
        filter: accessFilter({ tenant, principals: facts.principals }),
        alive: () => signal.throwIfAborted(),
      });
      if (probed === undefined) return null;
      const { recallBp, asked, low } = probed;
      const probe = { vectors, recallBp, low };
      const caller = workflowCaller(tenant);
      const { lowInARow } = await deps.saveProbe(caller, generationId, probe);
      const { state, collectionId } = facts.generation;
      if (lowInARow >= REBUILD_AFTER && state === 'LIVE') await rebuild(deps, caller, collectionId);
      return { recallBp, asked, lowInARow };
    } finally {
      clearInterval(beating);
    }
  };
