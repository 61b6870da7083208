import { PlatformError } from '../../domain/errors.js';
import type { GenerationFacts } from '../../domain/etl/ledger.js';
import type { Caller, Change, Outcome, StartedFacts } from '../../domain/events/change.js';
import type { StartRequest } from '../../domain/events/contract.js';
import type { SearchedCollection } from '../../domain/retrieval/searched-collection.js';
import {
  evaluationPlanSchema,
  retrievalEvaluationWorkflowId,
  type Baseline,
  type EvalSetDetail,
  type EvalSetView,
  type EvalSplit,
  type EvaluateRetrievalInput,
  type EvaluationPlan,
  type NewEvalSet,
  type RetrievalEvaluationState,
  type RetrievalEvaluationView,
  type StartRetrievalEvaluation,
} from '../../domain/retrieval/evaluation-contract.js';
import { HOUR_MS, MINUTE_MS } from '../../domain/units.js';
import type { Verdict } from '../../domain/verdict.js';
import type { Database, SqlRow, Tx } from './database.js';
import { mutate } from './mutate.js';
import { newId } from './new-id.js';
import type { EtlGeneration, RetrievalEvalRun } from './generated/client.js';

const TIMEOUT_MS = HOUR_MS;
const HEARTBEAT_MS = MINUTE_MS;
/** Judgements a statement, far below the 32,767 parameters that one may have. */
const ROWS_A_STATEMENT = 2_000;

/** A generation as searches and evaluations need it. */
export const generationFacts = (row: EtlGeneration): GenerationFacts => ({
  generationId: row.generationId,
  collectionId: row.collectionId,
  embedder: row.embedder,
  embedSpec: row.embedSpec as Record<string, unknown>,
  embedFp: row.embedFp,
  dims: row.dims,
  sink: row.sink,
  state: row.state as GenerationFacts['state'],
  drifted: row.driftedAt !== null,
});

/** The one row of SQL function `etl_searched`. @throws NOT_FOUND where there is none */
function searchedOf(collectionId: string, row: SqlRow | undefined): SearchedCollection {
  if (row === undefined) throw new PlatformError('NOT_FOUND', 'There is no such collection.');
  const { piiPolicy } = row.pipeline as { piiPolicy?: Record<string, unknown> };
  const { scanned, generation_id: generationId } = row;
  return {
    collectionId,
    purposes: row.purposes as string[],
    fusion: row.fusion === 'rrf' ? 'rrf' : 'weighted',
    alphaBp: row.alpha_bp === null ? undefined : Number(row.alpha_bp),
    piiPolicy: piiPolicy ?? {},
    live:
      typeof generationId !== 'string'
        ? undefined
        : {
            generationId,
            collectionId,
            embedder: String(row.embedder),
            embedSpec: row.embed_spec as Record<string, unknown>,
            embedFp: String(row.embed_fp),
            dims: Number(row.dims),
            sink: String(row.sink),
            state: row.state as GenerationFacts['state'],
            drifted: row.drifted === true,
          },
    behind: {
      oldestUnappliedMs: Number(row.oldest_ms),
      lastCompleteScanAt: scanned instanceof Date ? scanned.toISOString() : undefined,
    },
  };
}

async function saveEvalSet(tx: Tx, caller: Caller, set: NewEvalSet): Promise<Change<EvalSetView>> {
  const { evalSetId, collectionId, name, digest, queries } = set;
  const key = { tenantId: caller.tenant, evalSetId };
  await tx.retrievalEvalSet.create({
    data: {
      ...{ ...key, collectionId, name, digest, queryCount: queries.length },
      createdBy: caller.actor.subject,
    },
  });
  const judgements = queries.flatMap((query) =>
    query.judgements.map((judged) => ({ ...key, queryId: query.queryId, ...judged })),
  );
  await tx.retrievalEvalQuery.createMany({
    data: queries.map(({ queryId, split, textEnc }) => ({
      ...{ ...key, queryId, split },
      textEnc: Buffer.from(textEnc),
    })),
  });
  for (let from = 0; from < judgements.length; from += ROWS_A_STATEMENT)
    await tx.retrievalEvalJudgement.createMany({
      data: judgements.slice(from, from + ROWS_A_STATEMENT),
    });
  const id = evalSetId as EvalSetView['id'];
  return {
    status: 201,
    body: {
      ...{ id, name, digest, queryCount: queries.length },
      collectionId: collectionId as EvalSetView['collectionId'],
    },
    audit: {
      action: 'retrieval.eval_set_created',
      resource: { type: 'retrieval-eval-set', id: evalSetId, digest },
      after: { collectionId, queries: queries.length },
    },
  };
}

async function evalSetDetail(tx: Tx, evalSetId: string): Promise<EvalSetDetail> {
  const row = await tx.retrievalEvalSet.findFirst({ where: { evalSetId } });
  if (row === null) throw new PlatformError('NOT_FOUND', 'There is no such evaluation set.');
  const splits = await tx.retrievalEvalQuery.groupBy({
    by: ['split'],
    where: { evalSetId },
    _count: true,
  });
  const countOf = (split: EvalSplit) => splits.find((one) => one.split === split)?._count ?? 0;
  const { name, digest, queryCount, createdBy, createdAt } = row;
  return {
    id: row.evalSetId as EvalSetDetail['id'],
    collectionId: row.collectionId as EvalSetDetail['collectionId'],
    ...{ name, digest, queryCount, createdBy, createdAt: createdAt.toISOString() },
    splits: { fit: countOf('fit'), report: countOf('report') },
    judgementCount: await tx.retrievalEvalJudgement.count({ where: { evalSetId } }),
  };
}

/** Generations of the set's collection that are still there. @throws NOT_FOUND with the pointer of the one that is not */
async function assertGeneration(
  tx: Tx,
  of: { collectionId: string; generationId: string; pointer: string },
): Promise<void> {
  const row = await tx.etlGeneration.findFirst({
    where: {
      generationId: of.generationId,
      collectionId: of.collectionId,
      state: { not: 'DROPPED' },
    },
  });
  if (row !== null) return;
  throw new PlatformError('NOT_FOUND', 'The collection has no such generation.', {
    errors: [{ pointer: of.pointer, code: 'unknown' }],
  });
}

/** The start of the evaluation of a generation. */
export function evaluationStart(
  tenant: string,
  evaluationId: string,
  generationId: string,
): StartRequest {
  const input: EvaluateRetrievalInput = {
    ...{ tenant, evaluationId },
    ...{ timeoutMs: TIMEOUT_MS, heartbeatMs: HEARTBEAT_MS },
  };
  return {
    workflowId: retrievalEvaluationWorkflowId(tenant, evaluationId),
    workflowType: 'evaluateRetrieval',
    taskQueue: 'orchestration',
    input: { ...input },
    options: {
      summary: `${generationId}: retrieval evaluation`,
      searchAttributes: { Target: generationId, Phase: 'PENDING', WaitingOn: 'nothing' },
      priorityKey: 5,
    },
    startedBy: 'api',
  };
}

/** Who asks for an evaluation: what is measured is what this reader may see. */
export interface EvaluationRequester {
  subject: string;
  groups: string[];
}

async function startEvaluation(
  tx: Tx,
  caller: Caller,
  request: StartRetrievalEvaluation & { requester: EvaluationRequester },
): Promise<Change<StartedFacts>> {
  const { evalSetId, baseline, purpose, epsilon, seed, requester } = request;
  const set = await tx.retrievalEvalSet.findFirst({ where: { evalSetId } });
  if (set === null) throw new PlatformError('NOT_FOUND', 'There is no such evaluation set.');
  const { collectionId } = set;
  const [row] = await tx.$queryRaw<
    SqlRow[]
  >`select * from etl_searched(${caller.tenant}, ${collectionId})`;
  const collection = searchedOf(collectionId, row);
  if (!collection.purposes.includes(purpose))
    throw new PlatformError('PURPOSE_DENIED', 'The collection does not allow this purpose.');
  const generationId = request.generationId ?? collection.live?.generationId;
  if (generationId === undefined)
    throw new PlatformError('NOT_YET_INDEXED', 'The collection has no live generation.');
  await assertGeneration(tx, { collectionId, generationId, pointer: '/generationId' });
  if (baseline.kind === 'generation') {
    const pointer = '/baseline/generationId';
    await assertGeneration(tx, { collectionId, generationId: baseline.generationId, pointer });
  }
  const plan: EvaluationPlan = { purpose, epsilon, seed, ...requester };
  const evaluationId = newId('retrievalEvaluation');
  await tx.retrievalEvalRun.create({
    data: {
      ...{ tenantId: caller.tenant, evaluationId, evalSetId, collectionId, generationId },
      ...{ baseline, plan: { ...plan }, state: 'PENDING', requestedBy: caller.actor.subject },
    },
  });
  const start = evaluationStart(caller.tenant, evaluationId, generationId);
  return {
    status: 202,
    body: { id: evaluationId, workflowId: start.workflowId, status: 'PENDING' },
    audit: {
      action: 'retrieval.evaluation_requested',
      resource: { type: 'retrieval-evaluation', id: evaluationId },
      after: { evalSetId, generationId, baseline, epsilon },
    },
    starts: [start],
  };
}

function viewOf(row: RetrievalEvalRun): RetrievalEvaluationView {
  const { epsilon, seed } = evaluationPlanSchema.parse(row.plan);
  return {
    id: row.evaluationId,
    collectionId: row.collectionId,
    evalSetId: row.evalSetId,
    generationId: row.generationId,
    baseline: row.baseline as Baseline,
    epsilon,
    seed,
    state: row.state as RetrievalEvaluationState,
    verdict: row.verdict as Verdict | null,
    result: row.result as RetrievalEvaluationView['result'],
    failure: row.failure as RetrievalEvaluationView['failure'],
    requestedBy: row.requestedBy,
    createdAt: row.createdAt.toISOString(),
    endedAt: row.endedAt?.toISOString() ?? null,
  };
}

/** What retrieval and its endpoints need of Postgres besides the read filter. Failures: `STORE_UNAVAILABLE`. */
export const createRetrievalStore = (db: Database) => ({
  /** @throws NOT_FOUND */
  findSearched: async (tenant: string, collectionId: string): Promise<SearchedCollection> => {
    const [row] = await db.call('select * from etl_searched($1, $2)', [tenant, collectionId]);
    return searchedOf(collectionId, row);
  },

  /** Immutable once stored. */
  saveEvalSet: (caller: Caller, set: NewEvalSet): Promise<Outcome<EvalSetView>> =>
    mutate(db, caller, (tx) => saveEvalSet(tx, caller, set)),

  /** @throws NOT_FOUND */
  findEvalSet: (tenant: string, evalSetId: string): Promise<EvalSetDetail> =>
    db.withTenant(tenant, (tx) => evalSetDetail(tx, evalSetId)),

  /** @throws NOT_FOUND, PURPOSE_DENIED, NOT_YET_INDEXED */
  startRetrievalEvaluation: (
    caller: Caller,
    request: StartRetrievalEvaluation & { requester: EvaluationRequester },
  ): Promise<Outcome<StartedFacts>> =>
    mutate(db, caller, (tx) => startEvaluation(tx, caller, request)),

  /** @throws NOT_FOUND */
  findRetrievalEvaluation: (
    tenant: string,
    evaluationId: string,
  ): Promise<RetrievalEvaluationView> =>
    db.withTenant(tenant, async (tx) => {
      const row = await tx.retrievalEvalRun.findFirst({ where: { evaluationId } });
      if (row === null) throw new PlatformError('NOT_FOUND', 'There is no such evaluation.');
      return viewOf(row);
    }),
});
