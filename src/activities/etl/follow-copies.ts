import type { GenerationFacts, StoreCopy } from '../../domain/etl/ledger.js';
import { rowMetadata } from '../../domain/etl/row-metadata.js';
import type { SinkRow, VectorSink } from '../../domain/etl/vector-sink.js';
import type { EtlDeps } from './etl-deps.js';
import type { Beat } from './keep-claims.js';
import type { WithEpoch } from './shard-leases.js';
import { writeRows } from './write-rows.js';

/** Documents whose copies follow at once. */
const COPIES = 1_000;

type Epoch = () => Promise<bigint | undefined>;

const accessOf = ({ acl, aclHash }: StoreCopy) => ({ acl: [...acl].sort(), accessHash: aclHash });

async function patchAccess(
  sink: VectorSink,
  copies: readonly StoreCopy[],
  epoch: Epoch,
): Promise<void> {
  const patches = copies.flatMap((copy) =>
    copy.rows.map(({ rowId }) => ({ rowId, access: accessOf(copy) })),
  );
  for (let at = 0; at < patches.length; at += sink.caps.maxRows)
    await sink.patchAccess(patches.slice(at, at + sink.caps.maxRows), await epoch());
}

/** Rows with new metadata are written again with the vector that the store has: nothing is embedded. */
async function patchMetadata(
  sink: VectorSink,
  copies: readonly (StoreCopy & { metadata: Record<string, unknown> })[],
  epoch: Epoch,
): Promise<void> {
  const wanted = new Map(
    copies.flatMap((copy) => copy.rows.map(({ rowId, page }) => [rowId, { copy, page }] as const)),
  );
  const ids = [...wanted.keys()];
  const step = Math.min(1_000, sink.caps.maxRows);
  for (let at = 0; at < ids.length; at += step) {
    const adds = (await sink.fetch(ids.slice(at, at + step))).flatMap((row): SinkRow[] => {
      const found = wanted.get(row.rowId);
      if (found === undefined) return [];
      const { copy, page } = found;
      return [{ ...row, ...accessOf(copy), metadata: rowMetadata(copy.metadata, page) }];
    });
    await writeRows(sink, [{ docId: '', adds, deleteIds: [] }], { epoch });
  }
}

/**
 * Rung 5, the store's side: brings its copies of access and metadata up to the ledger, which has them already. The copies
 * narrow candidates, the ledger decides (W3). Never embeds.
 * @throws codes of the store
 */
export async function followCopies(
  deps: Pick<EtlDeps, 'ledger' | 'sink'>,
  of: { tenant: string; beat: Beat; withEpoch: WithEpoch },
  generation: GenerationFacts,
): Promise<void> {
  const { tenant, beat, withEpoch } = of;
  const { generationId } = generation;
  const copies = await deps.ledger.copiesBehind(tenant, generationId, COPIES);
  if (copies.length === 0) return;
  const sink = await deps.sink(tenant, generation);
  await withEpoch({ tenant, generationId, sink, signal: beat.signal }, async (epoch) => {
    const whole = copies.flatMap((copy) =>
      copy.metadata === undefined ? [] : [{ ...copy, metadata: copy.metadata }],
    );
    await patchAccess(
      sink,
      copies.filter(({ metadata }) => metadata === undefined),
      epoch,
    );
    await patchMetadata(sink, whole, epoch);
  });
  await deps.ledger.markCopies(tenant, generationId, copies);
}
