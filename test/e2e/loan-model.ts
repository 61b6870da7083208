import type { Json } from '../../src/main/tour-client.js';
import {
  loanApplicants,
  loanContract,
  loanCriteria,
  loanTable,
  tourPlan,
} from '../../src/main/tour-model.js';
import type { People } from '../../src/main/tour-people.js';

const LONG_MS = 180_000;

/** The loan example in an installation: its snapshots, and what people do with its models. */
export interface LoanModel {
  name: string;
  train: string;
  test: string;
}

/** Data set, two snapshots, policy and a registered model. */
export async function prepareLoanModel(
  people: People,
  name: string,
  riskClass: 'low' | 'medium' = 'medium',
): Promise<LoanModel> {
  const { steward, engineer } = people;
  await people['config-admin'].post('/v1/evaluation-policies', { name, criteria: loanCriteria });
  await steward.put(`/v1/datasets/${name}`, {
    title: 'Loan applications with their outcome',
    purposes: ['credit-scoring'],
    legalBasis: 'legitimate_interest',
    retentionDays: 365,
  });
  await steward.post(`/v1/datasets/${name}/contracts`, loanContract);
  const publish = async (table: 'train' | 'test') => {
    const started = await steward.upload(
      `/v1/datasets/${name}/snapshots`,
      { source: { format: 'csv', header: true } },
      { name: `${table}.csv`, bytes: await loanTable(table) },
    );
    const path = `/v1/publications/${String(started.id)}`;
    return String((await steward.follow(path, ['PUBLISHED'], LONG_MS)).snapshotId);
  };
  const model = { name, train: await publish('train'), test: await publish('test') };
  await engineer.put(`/v1/models/${name}`, {
    purpose: 'credit-scoring',
    riskClass,
    outcome: { type: 'binary', labels: ['no', 'yes'] },
    policyId: name,
    owner: 'credit-risk',
  });
  return model;
}

/** Starts a training run and answers its id. */
export async function startTraining(
  people: People,
  model: LoanModel,
  trainer: { kind: 'logistic' | 'gbt'; params?: Record<string, number> },
): Promise<string> {
  const started = await people.engineer.post(
    `/v1/models/${model.name}/training-runs`,
    {
      snapshotId: model.train,
      evaluationSnapshotId: model.test,
      target: 'defaulted',
      protectedAttributes: ['sex'],
      trainer,
      split: { strategy: 'provided' },
      budget: { maxMicroUsd: 0, maxWallClockMs: 900_000, maxGpuMs: 0 },
    },
    { prefer: 'wait=0' },
  );
  return String(started.id);
}

/** The finished run. */
export const followTraining = (people: People, runId: string): Promise<Json> =>
  people.engineer.follow(`/v1/training-runs/${runId}`, ['REGISTERED'], 2 * LONG_MS);

/** Evaluates a version and asks for its approval. */
export async function askForApproval(
  people: People,
  model: LoanModel,
  of: { version: number; plan?: object },
): Promise<string> {
  const path = `/v1/models/${model.name}/versions/${of.version}`;
  const started = await people.engineer.post(`${path}/evaluations`, {
    evaluationSnapshotId: model.test,
    protectedAttributes: ['sex'],
  });
  await people.engineer.follow(`/v1/evaluations/${String(started.id)}`, ['COMPLETED'], LONG_MS);
  const asked = await people.engineer.post(`${path}/approval-requests`, {
    env: 'prod',
    evaluationId: String(started.id),
    rolloutPlan: of.plan ?? tourPlan,
    comment: `Version ${of.version}.`,
  });
  return String(asked.id);
}

/** The approver signs what is asked. */
export async function approve(people: People, approvalId: string): Promise<void> {
  const open = await people.approver.get(`/v1/approvals/${approvalId}`);
  await people.approver.post(`/v1/approvals/${approvalId}:decide`, {
    decision: 'approve',
    subjectDigest: open.subjectDigest,
    reason: 'The report passes and the plan is careful.',
    acknowledged: open.toAcknowledge,
  });
}

/** Starts the release of an approved version and answers its id. */
export async function startRelease(
  people: People,
  model: LoanModel,
  of: { version: number; approvalId: string; plan?: object },
): Promise<string> {
  const started = await people.engineer.post(
    `/v1/models/${model.name}/envs/prod/releases`,
    { ...(of.plan ?? tourPlan), version: of.version, approvalId: of.approvalId },
    { prefer: 'wait=0' },
  );
  return String(started.id);
}

/** Trains a version and brings it into production. */
export async function releaseFirstVersion(people: People, model: LoanModel): Promise<void> {
  const run = await followTraining(
    people,
    await startTraining(people, model, { kind: 'logistic' }),
  );
  const version = Number(run.version);
  const approvalId = await askForApproval(people, model, { version });
  await approve(people, approvalId);
  const releaseId = await startRelease(people, model, { version, approvalId });
  await people.operator.follow(`/v1/releases/${releaseId}`, ['SUCCEEDED'], LONG_MS);
}

/** Bodies of inferences, one per applicant, without end. */
export async function* loanQuestions(model: string): AsyncGenerator<object> {
  const applicants = await loanApplicants();
  for (let round = 0; ; round++) {
    for (const { id, inputs } of applicants) {
      const subject = { key: `${id}-${round}` };
      yield { model, inputs, purpose: 'credit-scoring', subject };
    }
  }
}
