import { PlatformError } from '../../domain/errors.js';
import type { Caller } from '../../domain/events/change.js';
import type { StartRequest } from '../../domain/events/contract.js';
import { reconcileGenerationStart } from '../../domain/etl/contract.js';
import type { ReembedKey, ReembedLedger, ReembedStanding } from '../../domain/etl/reembed.js';
import type { EvaluationPlan } from '../../domain/retrieval/evaluation-contract.js';
import { isRetrievalEvaluationFinal } from '../../domain/retrieval/evaluation-contract.js';
import type { GenerationReport } from '../../domain/retrieval/measure-generation.js';
import type { Verdict } from '../../domain/verdict.js';
import { WHOLE_BP } from '../../domain/units.js';
import type { Database, SqlRow, Tx } from './database.js';
import { mutate } from './mutate.js';
import { newId } from './new-id.js';
import { evaluationStart } from './retrieval.js';
import type { EtlGeneration } from './generated/client.js';

/** How the gate of a generation works; what the request said, and who asked. */
export interface GatePlan {
  evalSetId?: string | undefined;
  epsilonBp: number;
  holdMs: number;
  reader: { subject: string; groups: string[] };
}

/** What happened to a generation so far. */
interface Outcome {
  evaluationId?: string | undefined;
  /** The state of the collection that the evaluation compared with. */
  judgedEpoch?: number | undefined;
  previousGenerationId?: string | undefined;
  decideUntil?: string | undefined;
}

const about = (id: string) => ({ type: 'generation', id });

async function lockGeneration(
  tx: Tx,
  tenant: string,
  generationId: string,
): Promise<EtlGeneration> {
  await tx.$queryRaw`select 1 from etl_generation
    where tenant_id = ${tenant} and generation_id = ${generationId} for update`;
  const where = { tenantId_generationId: { tenantId: tenant, generationId } };
  const row = await tx.etlGeneration.findUnique({ where });
  if (row === null) throw new PlatformError('NOT_FOUND', 'There is no such generation.');
  return row;
}

const outcomeOf = (row: { outcome: unknown }): Outcome => row.outcome ?? {};

/** Adds to what is known of a generation. */
async function noteOutcome(tx: Tx, row: EtlGeneration, more: Outcome & { waitingFor?: string }) {
  const noted = JSON.stringify(more);
  await tx.$executeRaw`update etl_generation set outcome = coalesce(outcome, '{}') || ${noted}::jsonb, updated_at = now()
    where tenant_id = ${row.tenantId} and generation_id = ${row.generationId}`;
}

const standing = `
  select g.state, g.outcome, c.generation_epoch, c.live_generation_id, x.decision,
    extract(epoch from (g.outcome->>'decideUntil')::timestamptz - now()) * 1000 as decision_left,
    extract(epoch from g.hold_until - now()) * 1000 as hold_left,
    (select count(*)::int from etl_document d
       left join etl_manifest m on m.tenant_id = $1 and m.generation_id = $2 and m.doc_id = d.doc_id
       where d.tenant_id = $1 and d.collection_id = g.collection_id and m.rev is distinct from d.live_rev) as lagging
  from etl_generation g
  join etl_collection c on c.tenant_id = $1 and c.collection_id = g.collection_id
  left join etl_generation_decision x on x.tenant_id = $1 and x.generation_id = $2
  where g.tenant_id = $1 and g.generation_id = $2`;

const absent: Omit<ReembedStanding, 'state'> = {
  epoch: 0,
  liveGenerationId: undefined,
  previousLiveId: undefined,
  lagging: 0,
  decision: undefined,
  decisionLeftMs: undefined,
  holdLeftMs: undefined,
};

const msOf = (value: unknown): number | undefined =>
  value === null || value === undefined ? undefined : Math.max(0, Math.ceil(Number(value)));

const readReembed =
  (db: Database) =>
  ({ tenant, generationId }: ReembedKey): Promise<ReembedStanding> =>
    db.batch(tenant, async (query) => {
      const [row] = await query(standing, [tenant, generationId]);
      if (row === undefined) {
        const fits = await query(
          `select 1 from etl_fit where tenant_id = $1 and generation_id = $2 and state = 'RUNNING'`,
          [tenant, generationId],
        );
        return { ...absent, state: fits.length > 0 ? 'FITTING' : 'GONE' };
      }
      return {
        state: row.state as ReembedStanding['state'],
        epoch: Number(row.generation_epoch),
        liveGenerationId: (row.live_generation_id as string | null) ?? undefined,
        previousLiveId: outcomeOf({ outcome: row.outcome }).previousGenerationId,
        // A generation that is dropped has no manifests: it is behind nothing.
        lagging: row.state === 'DROPPED' ? 0 : Number(row.lagging),
        decision: (row.decision as 'flip' | 'drop' | null) ?? undefined,
        decisionLeftMs: msOf(row.decision_left),
        holdLeftMs: msOf(row.hold_left),
      };
    });

const beginReconcile =
  (db: Database) =>
  async (caller: Caller, generationId: string): Promise<StartRequest> => {
    const { tenant } = caller;
    const { body } = await mutate(db, caller, async (tx) => {
      await lockGeneration(tx, tenant, generationId);
      const running = await tx.etlReconcile.findFirst({
        where: { tenantId: tenant, generationId, state: 'RUNNING' },
      });
      const reconcileId = running?.reconcileId ?? newId('reconcile');
      const start = reconcileGenerationStart({ tenant, reconcileId, generationId }, 'api');
      if (running === null)
        await tx.etlReconcile.create({
          data: {
            ...{ tenantId: tenant, reconcileId, generationId, state: 'RUNNING' },
            requestedBy: caller.actor.subject,
          },
        });
      return {
        status: 200,
        body: start,
        starts: running === null ? [start] : [],
        audit: {
          action: 'etl.reconcile-requested',
          resource: about(generationId),
          after: { reconcileId },
        },
      };
    });
    return body;
  };

const readReconcile =
  (db: Database) =>
  ({ tenant, generationId }: ReembedKey) =>
    db.batch(tenant, async (query) => {
      const [row] = await query(
        `select state from etl_reconcile where tenant_id = $1 and generation_id = $2
         order by reconcile_id desc limit 1`,
        [tenant, generationId],
      );
      return { over: row?.state !== 'RUNNING', done: row?.state === 'DONE' };
    });

/** The row of a new evaluation: what the reader may see of both generations, for the collection's first purpose. */
async function insertEvaluation(
  tx: Tx,
  caller: Caller,
  of: { row: EtlGeneration; baselineId: string; purpose: string; plan: GatePlan },
): Promise<string> {
  const { row, baselineId, purpose, plan } = of;
  const evaluationId = newId('retrievalEvaluation');
  const { subject, groups } = plan.reader;
  const epsilon = plan.epsilonBp / WHOLE_BP;
  const evaluation: EvaluationPlan = { purpose, epsilon, seed: 0, subject, groups };
  await tx.retrievalEvalRun.create({
    data: {
      tenantId: row.tenantId,
      evaluationId,
      evalSetId: plan.evalSetId ?? '',
      collectionId: row.collectionId,
      generationId: row.generationId,
      baseline: { kind: 'generation', generationId: baselineId },
      plan: { ...evaluation },
      state: 'PENDING',
      requestedBy: caller.actor.subject,
    },
  });
  return evaluationId;
}

const beginGate =
  (db: Database) =>
  async (caller: Caller, generationId: string): Promise<StartRequest> => {
    const { tenant } = caller;
    const { body } = await mutate(db, caller, async (tx) => {
      const row = await lockGeneration(tx, tenant, generationId);
      const { collectionId } = row;
      const collection = await tx.etlCollection.findUniqueOrThrow({
        where: { tenantId_collectionId: { tenantId: tenant, collectionId } },
      });
      const plan = row.gate as unknown as GatePlan;
      const { evaluationId: known, judgedEpoch } = outcomeOf(row);
      const isKnown = known !== undefined && judgedEpoch === collection.generationEpoch;
      const baselineId = collection.liveGenerationId ?? '';
      const purpose = collection.purposes[0] ?? '';
      const evaluationId = isKnown
        ? known
        : await insertEvaluation(tx, caller, { row, baselineId, purpose, plan });
      if (!isKnown)
        await noteOutcome(tx, row, { evaluationId, judgedEpoch: collection.generationEpoch });
      const start = evaluationStart(tenant, evaluationId, generationId);
      return {
        status: 200,
        body: start,
        starts: isKnown ? [] : [start],
        audit: {
          action: 'retrieval.evaluation_requested',
          resource: { type: 'retrieval-evaluation', id: evaluationId },
          after: { evalSetId: plan.evalSetId, generationId, baselineId },
        },
      };
    });
    return body;
  };

/** Two equal zeros prove nothing: the reader may see none of it. */
const foundNothing = (result: unknown): boolean => {
  const report = result as Partial<GenerationReport> | null;
  return report?.candidate?.recallAt50 === 0 && report.baseline?.recallAt50 === 0;
};

const readGate =
  (db: Database) =>
  ({ tenant, generationId }: ReembedKey) =>
    db.withTenant(tenant, async (tx) => {
      const row = await tx.etlGeneration.findFirst({ where: { tenantId: tenant, generationId } });
      const { evaluationId = '' } = outcomeOf({ outcome: row?.outcome });
      const run = await tx.retrievalEvalRun.findFirst({
        where: { tenantId: tenant, evaluationId },
      });
      if (run === null || !isRetrievalEvaluationFinal(run.state))
        return { over: run === null, verdict: undefined };
      const verdict = (run.verdict ?? 'ERROR') as Verdict;
      const vacuous = verdict === 'PASS' && foundNothing(run.result);
      return { over: true, verdict: vacuous ? ('INCONCLUSIVE' as const) : verdict };
    });

const askDecision =
  (db: Database): ReembedLedger['askDecision'] =>
  async (caller, generationId, { reason, decisionMs }) => {
    await mutate(db, caller, async (tx) => {
      const row = await lockGeneration(tx, caller.tenant, generationId);
      const { decideUntil } = outcomeOf(row);
      if (decideUntil === undefined) {
        const [clock] = await tx.$queryRaw<SqlRow[]>`
          select now() + make_interval(secs => ${decisionMs / 1000}) as until`;
        const until = (clock?.until as Date).toISOString();
        await noteOutcome(tx, row, { decideUntil: until, waitingFor: reason });
      }
      return {
        status: 200,
        body: {},
        events:
          decideUntil === undefined
            ? [
                {
                  type: 'anneal.etl.generation_undecided.v1',
                  subject: `collections/${row.collectionId}`,
                  data: { collectionId: row.collectionId, generationId, reason },
                },
              ]
            : [],
        audit: {
          action: 'etl.generation-undecided',
          resource: about(generationId),
          after: { reason },
        },
      };
    });
  };

const releaseClaims =
  (db: Database): ReembedLedger['releaseClaims'] =>
  (tenant, batchId) =>
    db.batch(tenant, async (query) => {
      await query(
        `update etl_document set claim_batch = null, claim_until = null where tenant_id = $1 and claim_batch = $2`,
        [tenant, batchId],
      );
    });

const findPlace =
  (db: Database): ReembedLedger['findPlace'] =>
  ({ tenant, generationId }) =>
    db.withTenant(tenant, async (tx) => {
      const row = await tx.etlGeneration.findFirst({ where: { tenantId: tenant, generationId } });
      if (row === null) throw new PlatformError('NOT_FOUND', 'There is no such generation.');
      const { embedFp, dims, sink } = row;
      return { tenant, generationId, embedFp, dims, sink };
    });

/** What re-embeddings do besides writing documents (role anneal_worker). */
export const createEtlReembeds = ({ db }: { db: Database }): ReembedLedger => ({
  readReembed: readReembed(db),
  beginReconcile: beginReconcile(db),
  readReconcile: readReconcile(db),
  beginGate: beginGate(db),
  readGate: readGate(db),
  askDecision: askDecision(db),
  releaseClaims: releaseClaims(db),
  findPlace: findPlace(db),
});
