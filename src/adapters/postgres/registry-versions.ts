import { PlatformError } from '../../domain/errors.js';
import type { Caller, Change } from '../../domain/events/change.js';
import { lineageNode } from '../../domain/registry/lineage.js';
import { isFinalTrainingState, trainingPlanSchema } from '../../domain/training/contract.js';
import type { Registration, VersionPackage } from '../../domain/training/run-facts.js';
import type { Database, Tx } from './database.js';
import { mutate } from './mutate.js';
import type { Prisma, TrainingRun } from './generated/client.js';
import { findSnapshotRefusal } from './training-progress.js';
import { lockRun } from './training.js';

const json = (value: unknown): Prisma.InputJsonValue => value as Prisma.InputJsonValue;

/** Takes the next number of a model: no gaps, because the row stays locked until the version is committed. */
async function takeVersionNumber(tx: Tx, tenant: string, model: string): Promise<number> {
  const rows = await tx.$queryRaw<{ version: number }[]>`
    update registered_model set next_version = next_version + 1, updated_at = now()
    where tenant_id = ${tenant} and name = ${model} returning next_version - 1 as version`;
  const version = rows[0]?.version;
  if (version === undefined)
    throw new PlatformError('MODEL_NOT_FOUND', 'There is no model of this name.');
  return version;
}

async function insertVersion(
  tx: Tx,
  run: TrainingRun,
  { version, made }: { version: number; made: VersionPackage },
): Promise<void> {
  const { tenantId, model, runId } = run;
  await tx.modelVersion.create({
    data: {
      tenantId,
      model,
      version,
      assurance: 'REGISTERED',
      artifactRef: made.artifact.ref,
      artifactDigest: made.artifact.sha256,
      artifactBytes: BigInt(made.artifact.sizeBytes),
      contract: json(made.contract),
      contractDigest: made.contractDigest,
      golden: json(made.golden),
      metrics: json(made.metrics),
      lineage: json(made.lineage),
      runId,
      trainedBy: run.requestedBy,
    },
  });
  await tx.trainingRun.update({
    where: { tenantId_runId: { tenantId, runId } },
    data: {
      state: 'REGISTERED',
      version,
      artifactDigest: made.artifact.sha256,
      endedAt: new Date(),
    },
  });
}

async function insertEdges(
  tx: Tx,
  run: TrainingRun,
  { version, made }: { version: number; made: VersionPackage },
): Promise<void> {
  const { tenantId, model } = run;
  const { snapshotId, evaluationSnapshotId, parentVersion } = made.lineage;
  const runNode = lineageNode('run', run.runId);
  const versionNode = lineageNode('version', model, version);
  const edges = [
    [versionNode, 'produced_by', runNode],
    [runNode, 'trained_on', lineageNode('snapshot', snapshotId)],
    ...(evaluationSnapshotId === undefined
      ? []
      : [[runNode, 'held_out', lineageNode('snapshot', evaluationSnapshotId)]]),
    ...(parentVersion === undefined
      ? []
      : [[versionNode, 'successor_of', lineageNode('version', model, parentVersion)]]),
  ];
  await tx.lineageEdge.createMany({
    data: edges.map(([fromNode = '', relation = '', toNode = '']) => ({
      tenantId,
      fromNode,
      relation,
      toNode,
    })),
    skipDuplicates: true,
  });
}

const unchanged = (body: Registration): Change<Registration> => ({ status: 200, body, audit: [] });

/** The registration that a run already has, or the reason why it can have none. */
async function knownOutcome(tx: Tx, run: TrainingRun): Promise<Registration | undefined> {
  const { state, version, artifactDigest } = run;
  if (state === 'REGISTERED' && version !== null && artifactDigest !== null)
    return { kind: 'REGISTERED', version, artifactDigest };
  if (run.cancel !== null) return { kind: 'CANCELLED' };
  if (isFinalTrainingState(state))
    throw new PlatformError('ILLEGAL_TRANSITION', `The run is ${state}.`, {
      extensions: { from: state, to: 'REGISTERED', allowed: [] },
    });
  // A tombstone waits until the version is there, and then finds it among those trained on the snapshot.
  await tx.$queryRaw`select 1 from snapshot
    where tenant_id = ${run.tenantId} and snapshot_id = ${run.snapshotId} for share`;
  const failure = await findSnapshotRefusal(tx, run.tenantId, trainingPlanSchema.parse(run.input));
  return failure === undefined ? undefined : { kind: 'REFUSED', failure };
}

/** Registrations of trained versions (role anneal_worker). */
export const createVersionRegistrar = (db: Database) => ({
  /**
   * Registers the version of a run: number, version, lineage edges, state of the run, events and audit entry in one
   * transaction. Idempotent by run. A run that was cancelled, or whose snapshot may no longer be used, gets no version.
   * @throws ILLEGAL_TRANSITION where the run has ended otherwise
   */
  registerVersion: async (
    caller: Caller,
    { runId, made }: { runId: string; made: VersionPackage },
  ): Promise<Registration> => {
    const { body } = await mutate<Registration>(db, caller, async (tx) => {
      const run = await lockRun(tx, caller.tenant, runId);
      const known = await knownOutcome(tx, run);
      if (known !== undefined) return unchanged(known);
      const { model } = run;
      const version = await takeVersionNumber(tx, caller.tenant, model);
      await insertVersion(tx, run, { version, made });
      await insertEdges(tx, run, { version, made });
      const artifactDigest = made.artifact.sha256;
      const facts = { model, version, runId, artifactDigest };
      return {
        status: 200,
        body: { kind: 'REGISTERED', version, artifactDigest },
        events: [
          {
            type: 'anneal.training.registered.v1',
            subject: `training-runs/${runId}`,
            data: { ...facts, state: 'REGISTERED' },
          },
          {
            type: 'anneal.registry.registered.v1',
            subject: `models/${model}/versions/${version}`,
            data: { ...facts, contractDigest: made.contractDigest },
          },
        ],
        audit: {
          action: 'registry.registered',
          resource: {
            type: 'model-version',
            id: `${model}/${version}`,
            digest: artifactDigest,
          },
          after: {
            assurance: 'REGISTERED',
            runId,
            snapshotId: made.lineage.snapshotId,
            contractDigest: made.contractDigest,
          },
        },
      };
    });
    return body;
  },
});
