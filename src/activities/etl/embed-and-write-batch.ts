import { noCounts, type BatchCounts } from '../../domain/etl/contract.js';
import type { AccessCopy, GenerationFacts, OpenWrite, Stopped } from '../../domain/etl/ledger.js';
import type { EtlDeps } from './etl-deps.js';
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
}

/** Documents that are written and committed together: what a crash repeats at most. */
const COMMIT_DOCUMENTS = 512;
const ACCESS_COPIES = 1_000;

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
    return { written: new Set(), stopped: [] };
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
    { docId: string; fence: bigint; rev: number; generationIds: string[] }
  >();
  for (const { docId, fence, rev, generationId } of writes) {
    const known = documents.get(docId) ?? { docId, fence, rev, generationIds: [] };
    if (results.get(generationId)?.written.has(docId)) known.generationIds.push(generationId);
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
  for (const generation of generations) {
    const own = writes.filter(({ generationId }) => generationId === generation.generationId);
    if (own.length > 0)
      results.set(
        generation.generationId,
        await writeOrLeave(deps, to, { generation, writes: own }),
      );
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

/** Brings a store's access copies up to the ledger: the copy narrows candidates, the ledger decides (W3). */
async function followAccess(
  deps: EtlDeps,
  to: Pick<Writing, 'tenant' | 'beat' | 'withEpoch'>,
  generation: GenerationFacts,
): Promise<void> {
  const { tenant, beat, withEpoch } = to;
  const { generationId } = generation;
  const copies = await deps.ledger.accessCopies(tenant, generationId, { limit: ACCESS_COPIES });
  if (copies.length === 0) return;
  const sink = await deps.sink(tenant, generation);
  const patches = copies.flatMap(({ rowIds, acl, aclHash }: AccessCopy) =>
    rowIds.map((rowId) => ({ rowId, access: { acl: [...acl].sort(), accessHash: aclHash } })),
  );
  await withEpoch({ tenant, generationId, sink, signal: beat.signal }, async (epoch) => {
    for (let at = 0; at < patches.length; at += sink.caps.maxRows)
      await sink.patchAccess(patches.slice(at, at + sink.caps.maxRows), await epoch());
  });
  await deps.ledger.markAccess(
    tenant,
    generationId,
    copies.map(({ docId, aclHash }) => ({ docId, aclHash })),
  );
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
        for (const generation of generations) await followAccess(deps, to, generation);
        const { pending } = await deps.ledger.backlog(tenant, sourceId);
        return { counts, waiting: pending };
      },
    );
