import { PlatformError } from '../../domain/errors.js';
import type { Caller, Outcome, StartedFacts } from '../../domain/events/change.js';
import type { StartRequest } from '../../domain/events/contract.js';
import { etlWorkflowId, reconcileGenerationStart } from '../../domain/etl/contract.js';
import type { Reembed } from '../../domain/etl/collection-view.js';
import { DAY_MS } from '../../domain/units.js';
import type { Database, SqlRow, Tx } from './database.js';
import { generationData, lockCollection, type GenerationSpecRow } from './etl-collections.js';
import { mutate } from './mutate.js';
import { newId } from './new-id.js';
import type { EtlGeneration } from './generated/client.js';

/** What `reembedCollection` is started with. */
interface ReembedStart {
  tenant: string;
  collectionId: string;
  collectionName: string;
  generationId: string;
  embedder: string;
  gate: Reembed['gate'];
  holdMs: number;
  autoFlip: boolean;
}

/** How the workflows that move generations are started. */
export interface EtlStarts {
  reembedCollection: (input: ReembedStart) => StartRequest;
}

const ROLLBACK_HOLD_MS = 7 * DAY_MS;

/** Writes a generation that is being built, and starts building it. @throws NOT_FOUND, GENERATION_BUILDING */
const reembed =
  (db: Database, starts: EtlStarts) =>
  (
    caller: Caller,
    asked: { collectionId: string; request: Reembed },
    spec: (live: { sink: string; lexicalSink?: string | undefined }) => GenerationSpecRow,
  ): Promise<Outcome<StartedFacts>> =>
    mutate(db, caller, async (tx) => {
      const { tenant } = caller;
      const { collectionId, request } = asked;
      const collection = await lockCollection(tx, tenant, collectionId);
      const generations = await tx.etlGeneration.findMany({
        where: { tenantId: tenant, collectionId, state: { not: 'DROPPED' } },
      });
      const building = generations.find((one) => one.state === 'BUILDING');
      if (building !== undefined)
        throw new PlatformError('GENERATION_BUILDING', 'A generation is being built already.', {
          extensions: { running: building.generationId },
        });
      const live = generations.find((one) => one.generationId === collection.liveGenerationId);
      const made = spec({
        sink: live?.sink ?? '',
        lexicalSink: live?.lexicalSink ?? undefined,
      });
      const generationId = newId('generation');
      await tx.etlGeneration.create({
        data: {
          tenantId: tenant,
          generationId,
          collectionId,
          ...generationData(made),
          state: 'BUILDING',
          gate: { ...request.gate, holdMs: request.holdMs },
          createdBy: caller.actor.subject,
        },
      });
      const start = starts.reembedCollection({
        tenant,
        collectionId,
        collectionName: collection.name,
        generationId,
        embedder: made.embedder,
        gate: request.gate,
        holdMs: request.holdMs,
        autoFlip: collection.autoFlip,
      });
      return {
        status: 202,
        body: { id: generationId, workflowId: start.workflowId, status: 'BUILDING' },
        starts: [start],
        audit: {
          action: 'etl.reembed-requested',
          resource: { type: 'generation', id: generationId },
          after: { collectionId, embedder: made.embedder, sink: made.sink, gate: request.gate },
        },
      };
    });

/** Documents whose rows in a generation are not those of their live revision. */
async function countLagging(tx: Tx, target: EtlGeneration): Promise<number> {
  const [row] = await tx.$queryRaw<SqlRow[]>`
    select count(*)::int as lagging from etl_document d
    where d.tenant_id = ${target.tenantId} and d.collection_id = ${target.collectionId} and d.deleted_at is null
      and d.live_rev is not null and not exists (select from etl_manifest m where m.tenant_id = d.tenant_id
        and m.generation_id = ${target.generationId} and m.doc_id = d.doc_id and m.rev = d.live_rev)`;
  return Number(row?.lagging ?? 0);
}

/** The held generation that a collection may go back to. @throws GENERATION_NOT_HELD */
async function requireHeld(
  tx: Tx,
  of: { tenant: string; collectionId: string; generationId: string },
): Promise<EtlGeneration> {
  const target = await tx.etlGeneration.findFirst({
    where: {
      tenantId: of.tenant,
      collectionId: of.collectionId,
      generationId: of.generationId,
    },
  });
  if (target?.state !== 'HOLDING')
    throw new PlatformError('GENERATION_NOT_HELD', 'This generation is not held.', {
      extensions: { state: target?.state ?? 'none' },
    });
  const lagging = await countLagging(tx, target);
  if (lagging > 0)
    throw new PlatformError(
      'GENERATION_NOT_HELD',
      `${lagging} document(s) of it are behind; they catch up with their next change.`,
      { extensions: { state: target.state, lagging } },
    );
  return target;
}

/** What a rollback answers. */
export interface RolledBack {
  collectionId: string;
  generationId: string;
  /** Held from now on. */
  previousGenerationId: string;
  generationEpoch: number;
}

/** Makes a held generation live again and holds the one before. @throws NOT_FOUND, GENERATION_NOT_HELD */
const rollback =
  (db: Database) =>
  (
    caller: Caller,
    collectionId: string,
    asked: { generationId: string; reason: string },
  ): Promise<Outcome<RolledBack>> =>
    mutate(db, caller, async (tx) => {
      const { tenant } = caller;
      const collection = await lockCollection(tx, tenant, collectionId);
      const { generationId, reason } = asked;
      const target = await requireHeld(tx, { tenant, collectionId, generationId });
      const previous = collection.liveGenerationId ?? '';
      await tx.$executeRaw`update etl_generation set state = 'HOLDING', updated_at = now(),
        hold_until = now() + make_interval(secs => ${ROLLBACK_HOLD_MS / 1000})
        where tenant_id = ${tenant} and generation_id = ${previous}`;
      await tx.$executeRaw`update etl_generation set state = 'LIVE', hold_until = null, updated_at = now()
        where tenant_id = ${tenant} and generation_id = ${target.generationId}`;
      const generationEpoch = collection.generationEpoch + 1;
      await tx.etlCollection.update({
        where: { tenantId_collectionId: { tenantId: tenant, collectionId } },
        data: { liveGenerationId: generationId, generationEpoch, updatedAt: new Date() },
      });
      const facts = {
        collectionId,
        generationId,
        previousGenerationId: previous,
        generationEpoch,
      };
      return {
        status: 200,
        body: facts,
        // Whoever built the one that goes has to keep it now, and not the one that came back.
        wakes: [{ workflowId: etlWorkflowId(tenant, previous), factId: newId('event') }],
        events: [
          {
            type: 'anneal.etl.generation_rolled_back.v1',
            subject: `collections/${collectionId}`,
            data: facts,
          },
        ],
        audit: {
          action: 'etl.generation-rolled-back',
          resource: { type: 'collection', id: collectionId },
          before: { generationId: previous },
          after: facts,
          reason,
        },
      };
    });

/** Starts comparing a generation with its store. @throws NOT_FOUND, RUN_IN_PROGRESS */
const reconcile =
  (db: Database) =>
  (
    caller: Caller,
    collectionId: string,
    asked: { generationId?: string | undefined },
  ): Promise<Outcome<StartedFacts>> =>
    mutate(db, caller, async (tx) => {
      const { tenant } = caller;
      const collection = await lockCollection(tx, tenant, collectionId);
      const generationId = asked.generationId ?? collection.liveGenerationId ?? '';
      const target = await tx.etlGeneration.findFirst({
        where: { tenantId: tenant, collectionId, generationId, state: { not: 'DROPPED' } },
      });
      if (target === null) throw new PlatformError('NOT_FOUND', 'There is no such generation.');
      const running = await tx.etlReconcile.findFirst({
        where: { tenantId: tenant, generationId, state: 'RUNNING' },
      });
      if (running !== null)
        throw new PlatformError('RUN_IN_PROGRESS', 'This generation is being reconciled.', {
          extensions: { running: running.reconcileId },
        });
      const reconcileId = newId('reconcile');
      await tx.etlReconcile.create({
        data: {
          tenantId: tenant,
          reconcileId,
          generationId,
          state: 'RUNNING',
          requestedBy: caller.actor.subject,
        },
      });
      const start = reconcileGenerationStart({ tenant, reconcileId, generationId }, 'api');
      return {
        status: 202,
        body: { id: reconcileId, workflowId: start.workflowId, status: 'RUNNING' },
        starts: [start],
        audit: {
          action: 'etl.reconcile-requested',
          resource: { type: 'generation', id: generationId },
          after: { collectionId, reconcileId },
        },
      };
    });

/** What moves the generations of a collection (role anneal_api). */
export const createEtlGenerationMoves = (db: Database, starts: EtlStarts) => ({
  reembed: reembed(db, starts),
  rollback: rollback(db),
  reconcile: reconcile(db),
});
