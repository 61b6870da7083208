import { createApprovalFacts } from '../adapters/postgres/approval.js';
import { createPublicationProgressStore } from '../adapters/postgres/datasets-progress.js';
import { createSnapshotPublisher } from '../adapters/postgres/datasets-publish.js';
import { createEvaluationRuns } from '../adapters/postgres/evaluation.js';
import { createIntentStore } from '../adapters/postgres/events.js';
import { createVersionRegistrar } from '../adapters/postgres/registry-versions.js';
import { createReleaseFacts } from '../adapters/postgres/release-facts.js';
import { createReleaseMoves } from '../adapters/postgres/release-moves.js';
import { createPointerMoves } from '../adapters/postgres/release-pointer.js';
import { createTrainingProgressStore } from '../adapters/postgres/training-progress.js';
import { createLocalEvaluator } from '../adapters/local-evaluator/create-local-evaluator.js';
import { exportModel } from '../adapters/onnx/export-model.js';
import { scanArtifact } from '../adapters/onnx/scan-artifact.js';
import { createApprovalVerifier } from '../adapters/secrets/approval-signature.js';
import { mergeRuns } from '../adapters/tabular/merge-runs.js';
import { readParts, readQuarantine } from '../adapters/tabular/read-part.js';
import { stageRows } from '../adapters/tabular/stage-rows.js';
import { createApprovalActivities } from '../activities/approval/index.js';
import { createDatasetsActivities } from '../activities/datasets/index.js';
import type { EtlDeps } from '../activities/etl/index.js';
import { createEvaluationActivities } from '../activities/evaluation/index.js';
import { createEventsActivities } from '../activities/events/index.js';
import { createInferenceActivities } from '../activities/inference/index.js';
import { openOutput } from '../activities/inference/settle.js';
import { createArtifactMatches } from '../activities/release/artifact-matches.js';
import { createReleaseActivities } from '../activities/release/index.js';
import { createPredictedLabels } from '../activities/release/predicted-labels.js';
import { createTrainingActivities } from '../activities/training/index.js';
import { subjectToken } from '../domain/subject-token.js';
import type { Parts } from './dependencies.js';
import { createKnowledgeActivities } from './etl-dependencies.js';
import {
  createRuntime,
  createTrainer,
  environmentLock,
  startWorkerThread,
} from './model-runtime.js';
import { createServing, type Serving } from './serving.js';

/** Reads a stored model file whole, its digest checked. */
async function readArtifact({ artifacts }: Parts, ref: string): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of artifacts.openStream(ref, { verify: true })) chunks.push(chunk);
  return Buffer.concat(chunks);
}

function releaseActivities(
  parts: Parts,
  serving: Serving,
  verifyApproval: ReturnType<typeof createApprovalFacts>['verifyApproval'],
) {
  const facts = createReleaseFacts(parts.db);
  return createReleaseActivities({
    ...facts,
    ...createReleaseMoves(parts.db),
    ...createPointerMoves(parts.db),
    verifyApproval,
    artifactMatches: createArtifactMatches(parts.artifacts),
    predictedLabels: createPredictedLabels({
      sealedOutputs: facts.sealedOutputs,
      openOutput: async (of) => {
        const output = await openOutput(serving.cipher, of);
        return output === undefined ? undefined : { label: String(output.label) };
      },
    }),
  });
}

function datasetsActivities({ db, artifacts }: Parts, serving: Serving) {
  return createDatasetsActivities({
    publications: { ...createPublicationProgressStore(db), ...createSnapshotPublisher(db) },
    stageRows: (input, deps) => stageRows(artifacts, input, deps),
    mergeRuns: (input, deps) => mergeRuns(artifacts, input, deps),
    readParts: (refs) => readParts(artifacts, refs),
    readQuarantine: (ref) => readQuarantine(artifacts, ref),
    dropStaged: (tenant, scope) => artifacts.dropStaged(tenant, scope),
    tokeniser: async (tenant) => {
      const key = await serving.secrets.pseudonymKey(tenant);
      return (identifier) => subjectToken(key, identifier);
    },
  });
}

/** What an entry other than the product's puts around what a capability asks for: failpoints, planted faults. */
export interface WorkerAround {
  parts?: ((parts: Parts) => Parts) | undefined;
  activities?: (<A extends object>(activities: A) => A) | undefined;
  etl?: ((deps: EtlDeps) => EtlDeps) | undefined;
}

/** Every activity of the platform with what it asks for, and the serving side of this worker. */
export async function createWorkerActivities(parts: Parts, around: WorkerAround = {}) {
  const { db, artifacts } = parts;
  const runtime = createRuntime(parts);
  const serving = createServing(parts, 'inference', runtime);
  const approval = createApprovalFacts(db, createApprovalVerifier(serving.secrets));
  const intents = createIntentStore(db);
  const rows = (refs: readonly { ref: string }[]) => readParts(artifacts, refs);
  const knowledge = await createKnowledgeActivities(parts, serving, around.etl);
  const activities = {
    ...createEventsActivities(intents),
    ...knowledge.activities,
    ...datasetsActivities(parts, serving),
    ...createTrainingActivities({
      runs: { ...createTrainingProgressStore(db), ...createVersionRegistrar(db) },
      artifacts,
      readParts: rows,
      createTrainer,
      exportModel,
      scanArtifact,
      runtime,
      environment: environmentLock(),
    }),
    ...createEvaluationActivities({
      ...createEvaluationRuns(db),
      readParts: rows,
      readArtifact: (ref) => readArtifact(parts, ref),
      scanArtifact,
      runtime,
      judge: createLocalEvaluator(startWorkerThread),
    }),
    ...createApprovalActivities({ ...approval, isSigned: createApprovalVerifier(serving.secrets) }),
    ...releaseActivities(parts, serving, approval.verifyApproval),
    ...createInferenceActivities({
      pipeline: serving.pipeline,
      store: serving.store,
      decrypt: serving.cipher.decrypt,
      runtime,
      version: serving.versions.find,
      recordForgedStart: intents.recordForgedStart,
    }),
  };
  return {
    activities,
    serving,
    loops: [...serving.loops, ...knowledge.loops],
    close: async () => {
      await knowledge.close();
      runtime.close();
    },
  };
}
