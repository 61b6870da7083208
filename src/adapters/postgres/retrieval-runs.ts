import { PlatformError } from '../../domain/errors.js';
import type { GenerationFacts } from '../../domain/etl/ledger.js';
import type { Caller } from '../../domain/events/change.js';
import {
  evaluationPlanSchema,
  isRetrievalEvaluationFinal,
  type Baseline,
  type EvalSplit,
  type RetrievalEvaluationFacts,
} from '../../domain/retrieval/evaluation-contract.js';
import type { GenerationReport, QueryRow } from '../../domain/retrieval/measure-generation.js';
import type { Verdict } from '../../domain/verdict.js';
import type { Database, Tx } from './database.js';
import { mutate } from './mutate.js';
import { generationFacts } from './retrieval.js';
import type { Prisma, RetrievalEvalRun } from './generated/client.js';

const about = (evaluationId: string) => ({ type: 'retrieval-evaluation', id: evaluationId });
const json = (value: unknown): Prisma.InputJsonValue => value as Prisma.InputJsonValue;

/** Opens the text of a stored query: column `text_enc` of `retrieval_eval_query`, row `<evalSetId>/<queryId>`. */
export type OpenQuery = (
  of: { tenant: string; rowId: string },
  sealed: Uint8Array,
) => Promise<string>;

async function found(tx: Tx, evaluationId: string): Promise<RetrievalEvalRun> {
  const row = await tx.retrievalEvalRun.findFirst({ where: { evaluationId } });
  if (row === null) throw new PlatformError('NOT_FOUND', 'There is no such evaluation.');
  return row;
}

async function generationOf(tx: Tx, generationId: string): Promise<GenerationFacts> {
  const row = await tx.etlGeneration.findFirst({
    where: { generationId, state: { not: 'DROPPED' } },
  });
  if (row === null) throw new PlatformError('NOT_FOUND', 'The generation was dropped.');
  return generationFacts(row);
}

/** The set of a run, query texts still sealed. */
async function readSet(tx: Tx, evalSetId: string) {
  const orderBy = { queryId: 'asc' } as const;
  const queries = await tx.retrievalEvalQuery.findMany({ where: { evalSetId }, orderBy });
  const judgements = new Map<string, { docId: string; gain: number }[]>();
  for (const { queryId, docId, gain } of await tx.retrievalEvalJudgement.findMany({
    where: { evalSetId },
    orderBy: [orderBy, { docId: 'asc' }],
  }))
    judgements.set(queryId, [...(judgements.get(queryId) ?? []), { docId, gain }]);
  return queries.map(({ queryId, split, textEnc }) => ({
    queryId,
    split: split as EvalSplit,
    textEnc,
    judgements: judgements.get(queryId) ?? [],
  }));
}

async function begin(tx: Tx, evaluationId: string) {
  const row = await found(tx, evaluationId);
  if (isRetrievalEvaluationFinal(row.state))
    throw new PlatformError('ILLEGAL_TRANSITION', `The evaluation is ${row.state}.`);
  await tx.retrievalEvalRun.updateMany({ where: { evaluationId }, data: { state: 'RUNNING' } });
  const baseline = row.baseline as Baseline;
  return {
    collectionId: row.collectionId,
    plan: evaluationPlanSchema.parse(row.plan),
    candidate: await generationOf(tx, row.generationId),
    baseline:
      baseline.kind === 'generation' ? await generationOf(tx, baseline.generationId) : undefined,
    evalSetId: row.evalSetId,
    sealed: await readSet(tx, row.evalSetId),
  };
}

async function complete(
  tx: Tx,
  evaluationId: string,
  done: { report: GenerationReport; rows: QueryRow[] },
) {
  const { verdict } = done.report.comparison;
  const { count } = await tx.retrievalEvalRun.updateMany({
    where: { evaluationId, state: 'RUNNING' },
    data: {
      ...{ state: 'DONE', verdict, result: json(done.report), perQuery: json(done.rows) },
      endedAt: new Date(),
    },
  });
  // A repeated measurement has other latencies; the first report stays.
  const kept = count === 1 ? verdict : ((await found(tx, evaluationId)).verdict as Verdict | null);
  const body: { verdict: Verdict } = { verdict: kept ?? 'ERROR' };
  return {
    status: 200,
    body,
    audit: {
      action: 'retrieval.evaluation_completed',
      resource: about(evaluationId),
      after: { verdict: body.verdict },
    },
    events:
      count === 1
        ? [{ type: 'anneal.retrieval.evaluated.v1', subject: evaluationId, data: { verdict } }]
        : [],
  };
}

/** What the activities of `retrieval` need of Postgres. Every function may be repeated. */
export const createRetrievalRuns = (db: Database, openQuery: OpenQuery) => ({
  beginRetrievalEvaluation: async (
    caller: Caller,
    evaluationId: string,
  ): Promise<RetrievalEvaluationFacts> => {
    const { tenant } = caller;
    const { body } = await mutate(db, caller, async (tx) => ({
      status: 200,
      body: await begin(tx, evaluationId),
      audit: { action: 'retrieval.evaluation_begun', resource: about(evaluationId) },
    }));
    const { evalSetId, sealed, ...facts } = body;
    const queries = await Promise.all(
      sealed.map(async ({ textEnc, ...query }) => ({
        ...query,
        text: await openQuery({ tenant, rowId: `${evalSetId}/${query.queryId}` }, textEnc),
      })),
    );
    return { ...facts, queries };
  },

  completeRetrievalEvaluation: async (
    caller: Caller,
    evaluationId: string,
    done: { report: GenerationReport; rows: QueryRow[] },
  ): Promise<{ verdict: Verdict }> =>
    (await mutate(db, caller, (tx) => complete(tx, evaluationId, done))).body,

  failRetrievalEvaluation: async (
    caller: Caller,
    evaluationId: string,
    failure: { code: string; message: string },
  ): Promise<void> => {
    await mutate(db, caller, async (tx) => {
      const { code, message } = failure;
      await tx.retrievalEvalRun.updateMany({
        where: { evaluationId, state: { in: ['PENDING', 'RUNNING'] } },
        data: {
          ...{ state: 'FAILED', verdict: 'ERROR', failure: { code, message } },
          endedAt: new Date(),
        },
      });
      return {
        status: 200,
        body: {},
        audit: {
          action: 'retrieval.evaluation_failed',
          resource: about(evaluationId),
          after: { code },
        },
      };
    });
  },
});
