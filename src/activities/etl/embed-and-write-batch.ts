import { noCounts, type BatchCounts } from '../../domain/etl/contract.js';
import type {
  ChangePriority,
  GenerationFacts,
  OpenWrite,
  Stopped,
} from '../../domain/etl/ledger.js';
import { checkCommitted } from './check-committed.js';
import type { EtlDeps } from './etl-deps.js';
import { followCopies } from './follow-copies.js';
import { keepClaims, type Beat } from './keep-claims.js';
import type { WithEpoch } from './shard-leases.js';
import { writeGeneration, type GenerationWrite } from './write-generation.js';

export interface EmbedAndWriteBatchInput {
  tenant: string;
  sourceId: string;
  batchId: string;
}

/** What a batch wrote, and what is still due of its source. */
export interface WrittenBatch {
  counts: BatchCounts;
  waiting: number;
  /** Changes of documents that somebody else holds. */
  held?: number | undefined;
  /** Of the most urgent change that is left. */
  urgency?: ChangePriority | undefined;
}

/** Documents that are written and committed together: what a crash repeats at most. */
const COMMIT_DOCUMENTS = 512;

interface Writing {
  tenant: string;
  batchId: string;
  generations: GenerationFacts[];
  beat: Beat;
  withEpoch: WithEpoch;
  counts: BatchCounts;
}

/** A generation that is not live never holds up the live one (W5): what it could not take stays open. */
async function writeOrLeave(
  deps: EtlDeps,
  to: Writing,
  of: { generation: GenerationFacts; writes: OpenWrite[] },
): Promise<GenerationWrite> {
  const { tenant, beat, withEpoch } = to;
  const { generation, writes } = of;
  try {
    return await writeGeneration(deps, { tenant, generation, beat, withEpoch }, writes);
  } catch (error) {
    if (generation.state === 'LIVE' || beat.signal.aborted) throw error;
    const { generationId } = generation;
    deps.log.warn({ err: error, generationId }, 'a generation that is not live was not written');
    return { written: new Set(), stopped: [], unindexed: [] };
  }
}

/** What the store of a generation that is not live has still to copy stays behind, and follows with a later batch (W5). */
async function followOrLeave(
  deps: EtlDeps,
  to: Writing,
  generation: GenerationFacts,
): Promise<void> {
  try {
    await followCopies(deps, to, generation);
  } catch (error) {
    if (generation.state === 'LIVE' || to.beat.signal.aborted) throw error;
    const { generationId } = generation;
    deps.log.warn(
      { err: error, generationId },
      'copies of a generation that is not live are behind',
    );
  }
}

/** Documents whose every live write is in its store, with the generations that hold them. */
function committable(
  writes: readonly OpenWrite[],
  generations: readonly GenerationFacts[],
  results: ReadonlyMap<string, GenerationWrite>,
) {
  const live = new Set(
    generations.filter(({ state }) => state === 'LIVE').map(({ generationId }) => generationId),
  );
  const stopped = new Map<string, Stopped>();
  for (const [generationId, result] of results)
    if (live.has(generationId)) for (const each of result.stopped) stopped.set(each.docId, each);
  const documents = new Map<
    string,
    {
      docId: string;
      fence: bigint;
      rev: number;
      generationIds: string[];
      unindexedRowIds: string[];
    }
  >();
  const unindexed = new Set([...results.values()].flatMap((result) => result.unindexed));
  for (const { docId, fence, rev, generationId, addRowIds } of writes) {
    const fresh = { docId, fence, rev, generationIds: [], unindexedRowIds: [] };
    const known = documents.get(docId) ?? fresh;
    if (results.get(generationId)?.written.has(docId)) known.generationIds.push(generationId);
    known.unindexedRowIds.push(...addRowIds.filter((rowId) => unindexed.has(rowId)));
    documents.set(docId, known);
  }
  const ready = [...documents.values()].filter(({ docId }) => !stopped.has(docId));
  return { stopped: [...stopped.values()], ready };
}

/** APPLY and COMMIT of some documents. */
async function writeDocuments(
  deps: EtlDeps,
  to: Writing,
  writes: readonly OpenWrite[],
): Promise<void> {
  const { tenant, batchId, generations, counts } = to;
  const results = new Map<string, GenerationWrite>();
  // What stops in the live generation, which comes first, keeps its rows in every other: its revision does not move.
  const still = new Set<string>();
  for (const generation of generations) {
    const own = writes.filter(
      ({ docId, generationId }) => generationId === generation.generationId && !still.has(docId),
    );
    if (own.length === 0) continue;
    const made = await writeOrLeave(deps, to, { generation, writes: own });
    results.set(generation.generationId, made);
    if (generation.state === 'LIVE') for (const { docId } of made.stopped) still.add(docId);
  }
  await deps.failpoint?.('etl.k8');
  const { stopped, ready } = committable(writes, generations, results);
  if (stopped.length > 0) await deps.ledger.quarantine(tenant, batchId, stopped);
  const committed = await deps.ledger.commit(tenant, batchId, ready);
  await deps.failpoint?.('etl.k9');
  const gone = new Set(
    writes
      .filter(({ rev, adds, acl }) => rev === 0 || (adds.length === 0 && acl.length === 0))
      .map(({ docId }) => docId),
  );
  const deleted = committed.filter(({ docId }) => gone.has(docId)).length;
  counts.deleted += deleted;
  counts.indexed += committed.length - deleted;
  counts.quarantined += stopped.length;
  counts.lost += ready.length - committed.length;
  const held = new Set(committed.map(({ docId }) => docId));
  for (const generation of generations) {
    const own = writes.filter(
      ({ docId, generationId }) =>
        generationId === generation.generationId &&
        held.has(docId) &&
        results.get(generationId)?.written.has(docId),
    );
    await checkCommitted(deps, { tenant, generation }, own);
  }
}

/** Groups of whole documents: one is written and committed in all its generations at once. */
function* groupsOf(writes: readonly OpenWrite[]): Generator<OpenWrite[]> {
  const byDocument = Map.groupBy(writes, ({ docId }) => docId);
  let group: OpenWrite[] = [];
  let documents = 0;
  for (const own of byDocument.values()) {
    group.push(...own);
    documents += 1;
    if (documents < COMMIT_DOCUMENTS) continue;
    yield group;
    group = [];
    documents = 0;
  }
  if (group.length > 0) yield group;
}

/**
 * Second step of a batch: embeds what its open intents add, writes every generation, and commits by the fence. A
 * repeat finds what is still open. Documents without usable vectors go into quarantine, the others are committed.
 * @throws EMBEDDER_UNAVAILABLE, EMBEDDER_RATE_LIMITED, SINK_UNAVAILABLE, STORE_UNAVAILABLE (retryable);
 *   EMBEDDER_MISCONFIGURED, EMBEDDER_DRIFTED, SINK_REFUSED, SINK_FENCED
 */
export const createEmbedAndWriteBatch =
  (deps: EtlDeps, withEpoch: WithEpoch) =>
  ({ tenant, sourceId, batchId }: EmbedAndWriteBatchInput): Promise<WrittenBatch> =>
    keepClaims(
      () => deps.ledger.renewClaims(tenant, batchId),
      async (beat) => {
        const counts = { ...noCounts };
        const source = await deps.ledger.findSource(tenant, sourceId);
        if (source === undefined) return { counts, waiting: 0 };
        const generations = await deps.ledger.generations(tenant, source.collectionId);
        const to: Writing = { tenant, batchId, generations, beat, withEpoch, counts };
        for (const group of groupsOf(await deps.ledger.openWrites(tenant, batchId)))
          await writeDocuments(deps, to, group);
        for (const generation of generations) await followOrLeave(deps, to, generation);
        const { pending, held, urgency } = await deps.ledger.backlog(tenant, sourceId);
        return { counts, waiting: pending, held, urgency };
      },
    );
