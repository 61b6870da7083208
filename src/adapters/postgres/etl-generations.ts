import { PlatformError } from '../../domain/errors.js';
import type { Caller } from '../../domain/events/change.js';
import type { LedgerGenerations } from '../../domain/etl/ledger-generations.js';
import type { Database, SqlRow, Tx } from './database.js';
import { moveAlpha } from './etl-generation-alpha.js';
import { mutate } from './mutate.js';

const lagging = `
  select count(*)::int as lagging from etl_generation g
  join etl_document d on d.tenant_id = g.tenant_id and d.collection_id = g.collection_id
  left join etl_manifest m on m.tenant_id = g.tenant_id and m.generation_id = g.generation_id and m.doc_id = d.doc_id
  where g.tenant_id = $1 and g.generation_id = $2 and m.rev is distinct from d.live_rev`;

type Flip = Parameters<LedgerGenerations['flipGeneration']>[1];

/** The collection, taken alone: commits share this row, so every one before is seen and every one after sees the flip. */
async function requireFlip(tx: Tx, tenant: string, flip: Flip): Promise<string | null> {
  const { collectionId, generationId } = flip;
  const [collection] = await tx.$queryRaw<SqlRow[]>`
    select live_generation_id, generation_epoch from etl_collection
    where tenant_id = ${tenant} and collection_id = ${collectionId} for update`;
  const [target] = await tx.$queryRaw<SqlRow[]>`
    select state from etl_generation where tenant_id = ${tenant} and collection_id = ${collectionId}
      and generation_id = ${generationId} for update`;
  if (collection === undefined || target === undefined)
    throw new PlatformError('NOT_FOUND', 'There is no such generation.');
  if (Number(collection.generation_epoch) !== flip.epoch)
    throw new PlatformError('STALE_EPOCH', 'Another generation went live meanwhile.');
  if (target.state !== 'BUILDING' && target.state !== 'HOLDING')
    throw new PlatformError('GENERATION_NOT_HELD', 'This generation is live or dropped.');
  const [behind] = await tx.$queryRawUnsafe<SqlRow[]>(lagging, tenant, generationId);
  if (Number(behind?.lagging) > 0)
    throw new PlatformError('GENERATION_BUILDING', 'Documents of this generation are behind.', {
      extensions: { lagging: Number(behind?.lagging) },
    });
  return collection.live_generation_id as string | null;
}

const flip = (db: Database) => async (caller: Caller, asked: Flip) => {
  const { tenant } = caller;
  const { collectionId, generationId, holdMs, reason } = asked;
  const outcome = await mutate(db, caller, async (tx) => {
    const previous = await requireFlip(tx, tenant, asked);
    const epoch = asked.epoch + 1;
    await tx.$executeRaw`update etl_generation set state = 'HOLDING', updated_at = now(),
      hold_until = now() + make_interval(secs => ${holdMs / 1000})
      where tenant_id = ${tenant} and generation_id = ${previous}`;
    const noted = JSON.stringify({ reason, previousGenerationId: previous, epoch });
    await tx.$executeRaw`update etl_generation set state = 'LIVE', hold_until = null, updated_at = now(),
      outcome = coalesce(outcome, '{}') || ${noted}::jsonb
      where tenant_id = ${tenant} and generation_id = ${generationId}`;
    await tx.$executeRaw`update etl_collection set live_generation_id = ${generationId}, generation_epoch = ${epoch},
      updated_at = now() where tenant_id = ${tenant} and collection_id = ${collectionId}`;
    const moved = { tenant, collectionId, fromId: previous, toId: generationId };
    const alphaBp = await moveAlpha(tx, moved);
    const facts = { collectionId, generationId, previousGenerationId: previous, epoch };
    return {
      status: 200,
      body: { epoch },
      events: [
        {
          type: 'anneal.etl.generation_flipped.v1',
          subject: `collections/${collectionId}`,
          data: facts,
        },
      ],
      audit: {
        action: 'etl.generation-flipped',
        resource: { type: 'collection', id: collectionId },
        before: { generationId: previous },
        after: { ...facts, alphaBp },
      },
    };
  });
  return outcome.body;
};

const drop = (db: Database) => async (caller: Caller, generationId: string, reason?: string) => {
  const { tenant } = caller;
  await mutate(db, caller, async (tx) => {
    const [row] = await tx.$queryRaw<SqlRow[]>`
      select state, collection_id from etl_generation
      where tenant_id = ${tenant} and generation_id = ${generationId} for update`;
    if (row === undefined) throw new PlatformError('NOT_FOUND', 'There is no such generation.');
    if (row.state === 'LIVE')
      throw new PlatformError('GENERATION_BUILDING', 'The live generation cannot be dropped.');
    const noted = JSON.stringify({ reason });
    await tx.$executeRaw`update etl_generation set state = 'DROPPED', hold_until = null, updated_at = now(),
      outcome = coalesce(outcome, '{}') || ${noted}::jsonb
      where tenant_id = ${tenant} and generation_id = ${generationId}`;
    await tx.$executeRaw`delete from etl_manifest where tenant_id = ${tenant} and generation_id = ${generationId}`;
    await tx.$executeRaw`delete from etl_intent where tenant_id = ${tenant} and generation_id = ${generationId}`;
    await tx.$executeRaw`update etl_quarantine_item set state = 'RESOLVED', updated_at = now()
      where tenant_id = ${tenant} and collection_id = ${String(row.collection_id)} and state in ('OPEN', 'RETRIED')
        and evidence->>'generationId' = ${generationId}`;
    await tx.$executeRaw`delete from etl_shard where tenant_id = ${tenant} and generation_id = ${generationId}`;
    return {
      status: 200,
      body: {},
      audit: {
        action: 'etl.generation-dropped',
        resource: { type: 'generation', id: generationId },
        before: { state: row.state },
        after: { state: 'DROPPED', reason },
      },
    };
  });
};

/** Which generation answers (etl.md §5 W5, §6). */
export const createEtlGenerations = ({ db }: { db: Database }): LedgerGenerations => ({
  flipGeneration: flip(db),
  dropGeneration: drop(db),
  laggingDocuments: (tenant, generationId) =>
    db.batch(tenant, async (query) =>
      Number((await query(lagging, [tenant, generationId]))[0]?.lagging ?? 0),
    ),
});
