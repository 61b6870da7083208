import type { SqlRow, Tx } from './database.js';

/** The last evaluation of a generation, that of its gate first. */
const judged = `
  select r.result->'candidate' as candidate from etl_generation g
  join retrieval_eval_run r on r.tenant_id = $1 and r.collection_id = g.collection_id and r.generation_id = g.generation_id
    and r.state = 'DONE'
  where g.tenant_id = $1 and g.generation_id = $2
  order by r.evaluation_id = coalesce(g.outcome->>'evaluationId', '') desc, r.evaluation_id desc limit 1`;

/** The weight that a generation was judged with: fitted, or (null) the default of its embedder; undefined: never judged. */
async function judgedAlpha(
  tx: Tx,
  tenant: string,
  generationId: string,
): Promise<number | null | undefined> {
  const [row] = await tx.$queryRawUnsafe<SqlRow[]>(judged, tenant, generationId);
  const candidate = row?.candidate as { alphaBp?: number; fitted?: boolean } | null | undefined;
  if (candidate?.alphaBp === undefined) return undefined;
  return candidate.fitted === true ? candidate.alphaBp : null;
}

/**
 * Moves the weight of the lexical leg along with the live generation, in the transaction of the flip (etl.md §11: it is
 * fitted to an embedder). One that has answered before gets back what it answered with, a new one what it was judged with;
 * where nothing was judged the collection keeps what it has. The collection's row has to be locked.
 * @returns the weight from now on in basis points; null: the embedder's default
 */
export async function moveAlpha(
  tx: Tx,
  of: { tenant: string; collectionId: string; fromId: string | null; toId: string },
): Promise<number | null> {
  const { tenant, collectionId, fromId, toId } = of;
  const [now] = await tx.$queryRaw<SqlRow[]>`select alpha_bp from etl_collection
    where tenant_id = ${tenant} and collection_id = ${collectionId}`;
  const current = now?.alpha_bp === null || now === undefined ? null : Number(now.alpha_bp);
  const [target] = await tx.$queryRaw<SqlRow[]>`select outcome from etl_generation
    where tenant_id = ${tenant} and generation_id = ${toId}`;
  const { alphaBp: before } = (target?.outcome ?? {}) as { alphaBp?: number | null };
  const fitted = before === undefined ? await judgedAlpha(tx, tenant, toId) : before;
  const next = fitted === undefined ? current : fitted;
  const kept = JSON.stringify({ alphaBp: current });
  await tx.$executeRaw`update etl_generation set outcome = coalesce(outcome, '{}') || ${kept}::jsonb
    where tenant_id = ${tenant} and generation_id = ${fromId}`;
  await tx.$executeRaw`update etl_collection set alpha_bp = ${next}
    where tenant_id = ${tenant} and collection_id = ${collectionId}`;
  return next;
}
