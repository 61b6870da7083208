import { PlatformError } from '../../domain/errors.js';
import type { GenerationFacts, OpenWrite, Stopped } from '../../domain/etl/ledger.js';
import { rowMetadata } from '../../domain/etl/row-metadata.js';
import type { SinkRow } from '../../domain/etl/vector-sink.js';
import { embedTexts, type Embedded } from './embed-texts.js';
import type { EtlDeps } from './etl-deps.js';
import type { Beat } from './keep-claims.js';
import type { WithEpoch } from './shard-leases.js';
import { writeRows, type RowChange } from './write-rows.js';

/** Opens what a generation is written with. */
async function openGeneration(deps: EtlDeps, tenant: string, generation: GenerationFacts) {
  if (generation.drifted)
    throw new PlatformError('EMBEDDER_DRIFTED', 'The embedder answers differently than it did.');
  const embedder = await deps.embedder(tenant, generation);
  if (embedder.embedFp !== generation.embedFp)
    throw new PlatformError(
      'EMBEDDER_MISCONFIGURED',
      `Embedder ${generation.embedder} is another one than the generation was made with.`,
    );
  return { embedder, sink: await deps.sink(tenant, generation) };
}

const rowOf = (
  write: OpenWrite,
  add: OpenWrite['adds'][number],
  vector: Float32Array,
): SinkRow => ({
  rowId: add.rowId,
  docId: write.docId,
  vector,
  text: add.embedText,
  acl: [...write.acl].sort(),
  accessHash: write.aclHash,
  metadata: rowMetadata(write.metadata, add.page),
});

/** The rows of one document and its chunks without a word, or why it stops: which chunks have no usable vector. */
function changeOf(
  write: OpenWrite,
  vectors: ReadonlyMap<string, Embedded>,
): { change: RowChange; unindexed: string[] } | { stopped: Stopped } {
  const adds: SinkRow[] = [];
  const unindexed: string[] = [];
  const faults: string[] = [];
  for (const add of write.adds) {
    const found = vectors.get(add.textHash);
    if (found === undefined || 'fault' in found) faults.push(found?.fault ?? 'missing');
    else if ('vector' in found) adds.push(rowOf(write, add, found.vector));
    else unindexed.push(add.rowId);
  }
  const { docId, fence } = write;
  if (faults.length === 0)
    return { change: { docId, adds, deleteIds: write.deleteRowIds }, unindexed };
  const evidence = { chunks: faults.length, fault: faults[0] ?? '' };
  return {
    stopped: { docId, fence, stage: 'embed', reason: 'bad_vector', hides: false, evidence },
  };
}

/** What one generation made of a batch: documents it holds now, and documents that stop. */
export interface GenerationWrite {
  written: Set<string>;
  stopped: Stopped[];
  /** Rows of the written documents that are not there, because nothing in their chunks can be embedded. */
  unindexed: string[];
}

/**
 * Embeds and writes everything of a batch in one generation.
 * @throws codes of embedder and store
 */
export async function writeGeneration(
  deps: EtlDeps,
  of: { tenant: string; generation: GenerationFacts; beat: Beat; withEpoch: WithEpoch },
  writes: readonly OpenWrite[],
): Promise<GenerationWrite> {
  const { tenant, generation, beat, withEpoch } = of;
  const { signal } = beat;
  const { embedder, sink } = await openGeneration(deps, tenant, generation);
  const tasks = writes.flatMap(({ adds }) =>
    adds.map(({ textHash, embedText }) => ({ textHash, text: embedText })),
  );
  let cursor = 0;
  const note = () => beat.note((cursor += 1));
  const vectors = await embedTexts(deps, { tenant, embedder, signal, note }, tasks);
  const stopped: Stopped[] = [];
  const changes: RowChange[] = [];
  const unindexed: string[] = [];
  for (const write of writes) {
    const made = changeOf(write, vectors);
    if ('stopped' in made) {
      stopped.push(made.stopped);
      continue;
    }
    changes.push(made.change);
    unindexed.push(...made.unindexed);
  }
  if (unindexed.length > 0) deps.observe?.unindexed(unindexed.length);
  const { generationId } = generation;
  const beforeDelete = async () => deps.failpoint?.('etl.k7');
  await withEpoch({ tenant, generationId, sink, signal }, (epoch) =>
    writeRows(sink, changes, { epoch, beforeDelete }),
  );
  return { written: new Set(changes.map(({ docId }) => docId)), stopped, unindexed };
}
