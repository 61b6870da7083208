import { canonicalJson, digestOf } from '../../domain/digest.js';
import { PlatformError } from '../../domain/errors.js';
import {
  evaluationInputSchema,
  isEvaluationFinal,
  type EvaluationFacts,
  type EvaluationRow,
  type ScoredVersion,
} from '../../domain/evaluation/contract.js';
import { evaluationPolicySchema } from '../../domain/evaluation/criteria.js';
import type { EvaluationReport } from '../../domain/evaluation/evaluation-report.js';
import { modelContractSchema } from '../../domain/datasets/model-contract.js';
import type { Caller } from '../../domain/events/change.js';
import { versionLineageSchema } from '../../domain/registry/contract.js';
import type { Database, Tx } from './database.js';
import { mutate } from './mutate.js';
import { readSnapshot } from './training-ground.js';
import type { Evaluation, Prisma } from './generated/client.js';

const about = (evaluationId: string) => ({ type: 'evaluation', id: evaluationId });

/** A version as an evaluation scores it; undefined where the number is null. @throws NOT_FOUND */
async function scoredVersion(
  tx: Tx,
  model: string,
  version: number | null,
): Promise<ScoredVersion | undefined> {
  if (version === null) return undefined;
  const row = await tx.modelVersion.findFirst({ where: { model, version } });
  if (row === null) throw new PlatformError('NOT_FOUND', `There is no version ${version}.`);
  return {
    version,
    artifactDigest: row.artifactDigest,
    artifactRef: row.artifactRef,
    contract: modelContractSchema.parse(row.contract),
    lineage: versionLineageSchema.parse(row.lineage),
  };
}

async function snapshotOf(tx: Tx, tenant: string, snapshotId: string) {
  const snapshot = await readSnapshot(tx, tenant, snapshotId);
  if (snapshot === undefined) throw new PlatformError('NOT_FOUND', 'There is no such snapshot.');
  return snapshot;
}

async function factsOf(tx: Tx, tenant: string, row: Evaluation): Promise<EvaluationFacts> {
  const asked: EvaluationRow = evaluationInputSchema.parse(row.input);
  const candidate = await scoredVersion(tx, row.model, row.version);
  if (candidate === undefined) throw new PlatformError('NOT_FOUND', 'There is no such version.');
  const policy = await tx.evaluationPolicy.findFirstOrThrow({ where: asked.policy });
  return {
    model: row.model,
    asked,
    policy: evaluationPolicySchema.parse({ ...asked.policy, criteria: policy.criteria }),
    candidate,
    champion: await scoredVersion(tx, row.model, asked.champion),
    previousChampion: await scoredVersion(tx, row.model, asked.previousChampion),
    evaluationSnapshot: await snapshotOf(tx, tenant, asked.evaluationSnapshotId),
    trainingSnapshot: await snapshotOf(tx, tenant, candidate.lineage.snapshotId),
  };
}

const found = async (tx: Tx, evaluationId: string): Promise<Evaluation> => {
  const row = await tx.evaluation.findFirst({ where: { evaluationId } });
  if (row === null) throw new PlatformError('NOT_FOUND', 'There is no such evaluation.');
  return row;
};

/** EVALUATING, then EVALUATED: a version that people have judged already keeps what they said. */
const moveAssurance = (tx: Tx, row: Evaluation, move: { from: string[]; to: string }) =>
  tx.modelVersion.updateMany({
    where: { model: row.model, version: row.version, assurance: { in: move.from } },
    data: { assurance: move.to, updatedAt: new Date() },
  });

/** Stores the report once; the same facts must give the same report. */
async function completeEvaluation(
  db: Database,
  caller: Caller,
  done: { evaluationId: string; report: EvaluationReport },
): Promise<{ reportDigest: string }> {
  const { evaluationId, report } = done;
  const text = canonicalJson(report);
  const reportDigest = digestOf('anneal.evaluation.report.v1', report);
  await mutate(db, caller, async (tx) => {
    const row = await found(tx, evaluationId);
    if (row.reportDigest !== null && row.reportDigest !== reportDigest) {
      throw new PlatformError('INTERNAL', 'The same facts gave another report.');
    }
    await tx.$executeRaw`update evaluation set state = 'COMPLETED', verdict = ${report.overall}, report = ${text},
        report_digest = ${reportDigest}, ended_at = coalesce(ended_at, now()) where evaluation_id = ${evaluationId}`;
    await moveAssurance(tx, row, { from: ['EVALUATING'], to: 'EVALUATED' });
    await tx.lineageEdge.createMany({
      data: [
        {
          tenantId: caller.tenant,
          fromNode: `version:${row.model}@v${row.version}`,
          relation: 'evaluated-by',
          toNode: `evaluation:${evaluationId}`,
        },
      ],
      skipDuplicates: true,
    });
    const verdict = report.overall;
    return {
      status: 200,
      body: {},
      audit: {
        action: 'evaluation.completed',
        resource: { ...about(evaluationId), digest: reportDigest },
        after: { verdict },
        policyVersion: `${report.policy.name}@${report.policy.revision}`,
      },
      events: [
        {
          type: 'anneal.evaluation.completed.v1',
          subject: evaluationId,
          data: { model: row.model, version: row.version, verdict, reportDigest },
        },
      ],
    };
  });
  return { reportDigest };
}

/** What the activities of `evaluation` need of Postgres. Every function may be repeated. */
export const createEvaluationRuns = (db: Database) => ({
  beginEvaluation: async (caller: Caller, evaluationId: string): Promise<EvaluationFacts> => {
    const { body } = await mutate(db, caller, async (tx) => {
      const row = await found(tx, evaluationId);
      if (isEvaluationFinal(row.state)) {
        throw new PlatformError('ILLEGAL_TRANSITION', `The evaluation is ${row.state}.`);
      }
      await tx.$executeRaw`update evaluation set state = 'RUNNING', started_at = coalesce(started_at, now())
        where evaluation_id = ${evaluationId}`;
      await moveAssurance(tx, row, {
        from: ['REGISTERED', 'REJECTED', 'EXPIRED'],
        to: 'EVALUATING',
      });
      return {
        status: 200,
        body: await factsOf(tx, caller.tenant, row),
        audit: { action: 'evaluation.begun', resource: about(evaluationId) },
      };
    });
    return body;
  },

  completeEvaluation: (caller: Caller, evaluationId: string, report: EvaluationReport) =>
    completeEvaluation(db, caller, { evaluationId, report }),

  endEvaluation: async (
    caller: Caller,
    evaluationId: string,
    end: { state: 'FAILED' | 'CANCELLED'; code: string; message: string },
  ): Promise<void> => {
    const { state, code, message } = end;
    await mutate(db, caller, async (tx) => {
      const row = await found(tx, evaluationId);
      const failure: Prisma.InputJsonValue = { code, message };
      await tx.$executeRaw`update evaluation set state = ${state}, verdict = 'ERROR', failure = ${failure}::jsonb, ended_at = now()
        where evaluation_id = ${evaluationId} and state in ('QUEUED', 'RUNNING')`;
      await moveAssurance(tx, row, { from: ['EVALUATING'], to: 'REGISTERED' });
      return {
        status: 200,
        body: {},
        audit: {
          action: 'evaluation.ended',
          resource: about(evaluationId),
          after: { state, code },
        },
        events: [
          { type: 'anneal.evaluation.failed.v1', subject: evaluationId, data: { state, code } },
        ],
      };
    });
  },
});
