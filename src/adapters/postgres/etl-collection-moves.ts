import { PlatformError } from '../../domain/errors.js';
import type { Caller, Change, Outcome, StartedFacts } from '../../domain/events/change.js';
import type { StartRequest } from '../../domain/events/contract.js';
import { etlWorkflowId, reconcileGenerationStart } from '../../domain/etl/contract.js';
import type { Reembed } from '../../domain/etl/collection-view.js';
import type { DecideGeneration, GenerationDecision } from '../../domain/etl/generation-decision.js';
import type { reembedCollectionStart } from '../../domain/etl/reembed-contract.js';
import { DAY_MS } from '../../domain/units.js';
import type { Database, SqlRow, Tx } from './database.js';
import { generationData, lockCollection, type GenerationSpecRow } from './etl-collections.js';
import { moveAlpha } from './etl-generation-alpha.js';
import type { GatePlan } from './etl-reembeds.js';
import { mutate } from './mutate.js';
import { newId } from './new-id.js';
import type { EtlCollection, EtlGeneration } from './generated/client.js';

/** How the workflows that move generations are started. */
export interface EtlStarts {
  reembedCollection: (of: Parameters<typeof reembedCollectionStart>[0]) => StartRequest;
}

/** A generation to be built: what of, and how it is judged. */
interface Building {
  collection: EtlCollection;
  spec: GenerationSpecRow;
  gate: GatePlan;
  autoFlip: boolean;
  starts: EtlStarts;
}

const ROLLBACK_HOLD_MS = 7 * DAY_MS;

/** Generations of a collection that are written; none of them may be one that is being built. @throws GENERATION_BUILDING */
async function requireNoneBuilding(tx: Tx, collection: EtlCollection): Promise<EtlGeneration[]> {
  const { tenantId, collectionId } = collection;
  const generations = await tx.etlGeneration.findMany({
    where: { tenantId, collectionId, state: { not: 'DROPPED' } },
  });
  const fit = await tx.etlFit.findFirst({ where: { tenantId, collectionId, state: 'RUNNING' } });
  const running =
    fit?.generationId ?? generations.find((one) => one.state === 'BUILDING')?.generationId;
  if (running !== undefined)
    throw new PlatformError('GENERATION_BUILDING', 'A generation is being built already.', {
      extensions: { running },
    });
  return generations;
}

/**
 * Writes the generation, or the fit that has to come before it: a fitted embedder has no fingerprint until then, and
 * what has none is not written.
 */
async function startBuilding(
  tx: Tx,
  caller: Caller,
  { collection, spec, gate, autoFlip, starts }: Building,
): Promise<Change<StartedFacts>> {
  const { tenant, actor } = caller;
  const { collectionId, name } = collection;
  const generationId = newId('generation');
  const { embedder, dims, sink, lexicalSink } = spec;
  const fitId = spec.fitted === true ? newId('fit') : undefined;
  const key = { tenantId: tenant, collectionId, generationId, embedder };
  const plan = { gate: { ...gate }, dims, sink, requestedBy: actor.subject };
  if (fitId === undefined)
    await tx.etlGeneration.create({
      data: {
        ...{ ...key, ...generationData(spec), state: 'BUILDING' },
        ...{ gate: plan.gate, createdBy: actor.subject },
      },
    });
  else
    await tx.etlFit.create({
      data: {
        ...{ ...key, fitId, state: 'RUNNING', requestedBy: actor.subject },
        plan: { ...plan, ...(lexicalSink === undefined ? {} : { lexicalSink }) },
      },
    });
  const start = starts.reembedCollection({
    ...{ tenant, collectionId, generationId, name, embedder, autoFlip },
    ...{ fitId, gated: gate.evalSetId !== undefined, holdMs: gate.holdMs },
  });
  const status = fitId === undefined ? 'BUILDING' : 'FITTING';
  return {
    status: 202,
    body: { id: generationId, workflowId: start.workflowId, status },
    starts: [start],
    audit: {
      action: 'etl.reembed-requested',
      resource: { type: 'generation', id: generationId },
      after: { collectionId, embedder, sink, gate, fitId },
    },
  };
}

/** Who asks for a re-embedding: the gate measures what this reader may see. */
interface Reader {
  subject: string;
  groups: string[];
}

/** Builds a generation with another embedder or store. @throws NOT_FOUND, GENERATION_BUILDING */
const reembed =
  (db: Database, starts: EtlStarts) =>
  (
    caller: Caller,
    asked: { collectionId: string; request: Reembed; reader: Reader },
    specOf: (live: { sink: string }) => GenerationSpecRow,
  ): Promise<Outcome<StartedFacts>> =>
    mutate(db, caller, async (tx) => {
      const { collectionId, request, reader } = asked;
      const collection = await lockCollection(tx, caller.tenant, collectionId);
      const generations = await requireNoneBuilding(tx, collection);
      const live = generations.find((one) => one.generationId === collection.liveGenerationId);
      const spec = specOf({ sink: live?.sink ?? '' });
      const { evalSetId, epsilonBp } = request.gate;
      if (evalSetId !== undefined) await requireEvalSet(tx, collection, evalSetId);
      const gate = { evalSetId, epsilonBp, holdMs: request.holdMs, reader };
      const building = { collection, spec, gate, autoFlip: collection.autoFlip };
      return startBuilding(tx, caller, { ...building, starts });
    });

/** @throws NOT_FOUND with the pointer of the set that the collection does not have */
async function requireEvalSet(tx: Tx, of: EtlCollection, evalSetId: string): Promise<void> {
  const { tenantId, collectionId } = of;
  const set = await tx.retrievalEvalSet.findFirst({ where: { tenantId, collectionId, evalSetId } });
  if (set !== null) return;
  throw new PlatformError('NOT_FOUND', 'The collection has no such evaluation set.', {
    errors: [{ pointer: '/gate/evalSetId', code: 'unknown' }],
  });
}

/**
 * Builds the live generation anew from stored text, for a store that lost rows or recall: the same vectors, so nothing is
 * judged, and it goes live once it is whole. @throws NOT_FOUND, GENERATION_BUILDING
 */
const rebuild =
  (db: Database, starts: EtlStarts) =>
  (
    caller: Caller,
    collectionId: string,
    asked: { holdMs: number },
  ): Promise<Outcome<StartedFacts>> =>
    mutate(db, caller, async (tx) => {
      const collection = await lockCollection(tx, caller.tenant, collectionId);
      const generations = await requireNoneBuilding(tx, collection);
      const live = generations.find((one) => one.generationId === collection.liveGenerationId);
      if (live === undefined)
        throw new PlatformError('NOT_FOUND', 'The collection has no live generation.');
      const { embedder, embedSpec, embedFp, dims, sink, lexicalSink } = live;
      const spec = {
        ...{ embedder, embedFp, dims, sink, lexicalSink: lexicalSink ?? undefined },
        embedSpec: embedSpec as Record<string, unknown>,
      };
      const reader = { subject: caller.actor.subject, groups: [] };
      const gate = { epsilonBp: 0, holdMs: asked.holdMs, reader };
      return startBuilding(tx, caller, { collection, spec, gate, autoFlip: true, starts });
    });

/** Why a decision about a generation is refused, by the database's clock. */
function refuseDecision(
  caller: Caller,
  asked: { decision: 'flip' | 'drop' },
  of: { row: EtlGeneration; isDecided: boolean; isExpired: boolean | null; lagging: number },
): void {
  const { row, isDecided, isExpired, lagging } = of;
  if (isDecided) throw new PlatformError('ALREADY_DECIDED', 'This generation has been decided on.');
  const isEarly = isExpired === null && asked.decision === 'flip';
  if (row.state !== 'BUILDING' || isEarly)
    throw new PlatformError('ILLEGAL_TRANSITION', `Nothing waits for this decision.`, {
      extensions: { from: row.state, allowed: row.state === 'BUILDING' ? ['drop'] : [] },
    });
  if (isExpired === true)
    throw new PlatformError('DECISION_EXPIRED', 'The time to decide is over.');
  if (asked.decision === 'flip' && row.createdBy === caller.actor.subject)
    throw new PlatformError('SELF_APPROVAL', 'Whoever asked for it does not decide on it.');
  if (asked.decision === 'flip' && lagging > 0)
    throw new PlatformError('GENERATION_BUILDING', 'Documents of this generation are behind.', {
      extensions: { lagging },
    });
}

/**
 * Records what a person decides about a generation that is being built: live or gone. Going live is decided only where
 * the gate left it open. @throws NOT_FOUND, ALREADY_DECIDED, DECISION_EXPIRED, ILLEGAL_TRANSITION, SELF_APPROVAL,
 *   GENERATION_BUILDING
 */
const decide =
  (db: Database) =>
  (
    caller: Caller,
    collectionId: string,
    asked: DecideGeneration,
  ): Promise<Outcome<GenerationDecision>> =>
    mutate(db, caller, async (tx) => {
      const { tenant, actor } = caller;
      const { generationId, decision, reason } = asked;
      await lockCollection(tx, tenant, collectionId);
      const row = await tx.etlGeneration.findFirst({
        where: { tenantId: tenant, collectionId, generationId },
      });
      if (row === null) throw new PlatformError('NOT_FOUND', 'There is no such generation.');
      const known = await tx.etlGenerationDecision.findFirst({
        where: { tenantId: tenant, generationId },
      });
      const [clock] = await tx.$queryRaw<SqlRow[]>`
        select now() as now, (outcome->>'decideUntil')::timestamptz <= now() as expired from etl_generation
        where tenant_id = ${tenant} and generation_id = ${generationId}`;
      const isExpired = (clock?.expired as boolean | null | undefined) ?? null;
      const lagging = await countLagging(tx, row);
      refuseDecision(caller, asked, { row, isDecided: known !== null, isExpired, lagging });
      const decidedAt = clock?.now as Date;
      const decidedBy = actor.subject;
      await tx.etlGenerationDecision.create({
        data: { tenantId: tenant, generationId, decision, reason, decidedBy, decidedAt },
      });
      const made = { ...asked, decidedBy, decidedAt: decidedAt.toISOString() };
      return {
        status: 200,
        body: { ...made, collectionId: collectionId as GenerationDecision['collectionId'] },
        wakes: [{ workflowId: etlWorkflowId(tenant, generationId), factId: newId('event') }],
        events: [
          {
            type: 'anneal.etl.generation_decided.v1',
            subject: `collections/${collectionId}`,
            data: { collectionId, generationId, decision },
          },
        ],
        audit: {
          action: 'etl.generation-decided',
          resource: { type: 'generation', id: generationId },
          before: { state: row.state },
          after: { decision },
          reason,
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
      const moved = { tenant, collectionId, fromId: previous, toId: generationId };
      const alphaBp = await moveAlpha(tx, moved);
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
        wakes: [previous, generationId].map((id) => ({
          workflowId: etlWorkflowId(tenant, id),
          factId: newId('event'),
        })),
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
          after: { ...facts, alphaBp },
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
  rebuild: rebuild(db, starts),
  decideGeneration: decide(db),
  rollback: rollback(db),
  reconcile: reconcile(db),
});
