import { createAccessStore } from '../adapters/postgres/access.js';
import { createApprovalDecisions } from '../adapters/postgres/approval-decisions.js';
import { createApprovalRequests } from '../adapters/postgres/approval-requests.js';
import { createApprovalViews } from '../adapters/postgres/approval-views.js';
import { createAuditStore } from '../adapters/postgres/audit.js';
import { createPublicationStore } from '../adapters/postgres/datasets-publications.js';
import { createSnapshotStore } from '../adapters/postgres/datasets-snapshots.js';
import { createDatasetStore } from '../adapters/postgres/datasets.js';
import { createDecisionStore } from '../adapters/postgres/decisions.js';
import { createEvaluationStore } from '../adapters/postgres/evaluation-requests.js';
import { createFeedbackStore } from '../adapters/postgres/feedback.js';
import { createInferenceViews } from '../adapters/postgres/inference-views.js';
import { createDivergenceStore } from '../adapters/postgres/reconcile.js';
import { createRegistryStore } from '../adapters/postgres/registry.js';
import { createKillStore } from '../adapters/postgres/release-kills.js';
import { createRoutingStore } from '../adapters/postgres/release-routing.js';
import { createReleaseViews } from '../adapters/postgres/release-views.js';
import { createReleaseStore } from '../adapters/postgres/release.js';
import { createTrainingStore } from '../adapters/postgres/training.js';
import {
  createApprovalSigner,
  createApprovalVerifier,
} from '../adapters/secrets/approval-signature.js';
import { createFileSigningSecrets } from '../adapters/secrets/file-provider.js';
import { inspectTable } from '../adapters/tabular/read-table.js';
import { artifactSource } from '../adapters/tabular/table-reader.js';
import { readJsonArtifact } from '../adapters/tabular/staged-state.js';
import { createVerifyAudit } from '../activities/audit/index.js';
import { createSettlementLoop } from '../activities/inference/index.js';
import { openOutput } from '../activities/inference/settle.js';
import { createUploadSweepLoop } from '../activities/upload-sweep-loop.js';
import { defaultPublicationLimits } from '../domain/datasets/contract.js';
import type { SnapshotProfile } from '../domain/datasets/profile.js';
import { defaultTrainingLimits } from '../domain/training/contract.js';
import type { Links } from '../api/started.js';
import type { Parts } from './dependencies.js';
import { createKnowledgeRoutes } from './etl-dependencies.js';
import { createOutbound } from './outbound.js';
import { createKnowledge } from './knowledge.js';
import type { AllRouteDeps } from './routes.js';
import type { NamedLoop } from './run-loops.js';
import type { Serving } from './serving.js';

/** A whole upload's body, in milliseconds (15 minutes). */
const UPLOAD_DEADLINE_MS = 900_000;
/** As long again for what follows the body: by then an upload is answered, or its process is dead. */
const UPLOAD_ABANDONED_MS = 2 * UPLOAD_DEADLINE_MS;
/** Continue-as-new long before the server's own suggestion near 4,096 events. */
const MAX_HISTORY_EVENTS = 1_500;
/** A lost settlement notice costs a waiting caller this much. */
const SETTLEMENT_SWEEP_MS = 1_000;

/** Links into the Temporal Web UI. */
export const createLinks = ({ config }: Pick<Parts, 'config'>): Links => ({
  temporalUi: (workflowId) =>
    `${config.temporal.uiUrl}/namespaces/${config.temporal.namespace}/workflows/${encodeURIComponent(workflowId)}`,
});

/** What the endpoints of `datasets` ask for. */
function datasetsDeps({ db, artifacts, config }: Parts, links: Links): AllRouteDeps['datasets'] {
  return {
    ...createDatasetStore(db),
    ...createPublicationStore(db),
    ...createSnapshotStore(db),
    artifacts,
    inspectUpload: async (ref, shape) => inspectTable(await artifactSource(artifacts, ref), shape),
    uploadBytes: config.api.uploadBytes,
    uploadDeadlineMs: UPLOAD_DEADLINE_MS,
    limits: defaultPublicationLimits,
    links,
  };
}

/** What the endpoints of `approval` ask for; here alone the private approval key is in reach. */
function approvalDeps({ db, keyFolder }: Parts, links: Links): AllRouteDeps['approval'] {
  const sign = createApprovalSigner(createFileSigningSecrets(keyFolder));
  const decisions = createApprovalDecisions(db, sign);
  const approvals = createApprovalViews(db);
  return {
    requestApproval: createApprovalRequests(db).request,
    decideApproval: decisions.decide,
    withdrawApproval: decisions.withdraw,
    findApproval: approvals.find,
    listApprovals: approvals.list,
    links,
  };
}

const inferenceDeps = (
  serving: Serving,
  inferences: ReturnType<typeof createInferenceViews>,
): Omit<AllRouteDeps['inference'], 'waitFor' | 'links'> => ({
  admit: serving.pipeline.admit,
  readInferences: inferences.read,
  listInferences: inferences.listInferences,
  openOutput: async (of) => {
    const output = await openOutput(serving.cipher, of);
    return output === undefined ? undefined : { ...output };
  },
});

function accessDeps({ db, keyFolder, metrics }: Parts): AllRouteDeps['access'] {
  const access = createAccessStore(db);
  const secrets = createFileSigningSecrets(keyFolder);
  return {
    ...access,
    createPrincipal: async (caller, input) => {
      const made = await access.createPrincipal(caller, input);
      if (!made.replayed) metrics.edge.countGrants(input.roles);
      return made;
    },
    setRoles: async (caller, input) => {
      const made = await access.setRoles(caller, input);
      if (!made.replayed) metrics.edge.countGrants(input.roles);
      return made;
    },
    createKey: async (caller, request) => access.createKey(caller, request, await secrets.pepper()),
    nowMs: () => Date.now(),
  };
}

function auditDeps({ db, checkpoints, metrics }: Parts): AllRouteDeps['audit'] {
  const audit = createAuditStore(db);
  const verify = createVerifyAudit({ ...audit, readCheckpoints: checkpoints.read });
  return {
    listEntries: audit.listEntries,
    verify: async (tenant, signal) => {
      const verdict = await verify(tenant, signal);
      metrics.platform.countVerification(verdict.status);
      return verdict;
    },
  };
}

/** What every endpoint asks for, from the parts of this process. */
export function createRouteDeps(parts: Parts, serving: Serving) {
  const { db } = parts;
  const links = createLinks(parts);
  const evaluation = createEvaluationStore(db);
  const inferences = createInferenceViews(db);
  const outbound = createOutbound(parts.config);
  const knowledge = createKnowledge(parts, serving, outbound.embedding);
  const settlements = createSettlementLoop({
    listen: db.listen,
    read: inferences.read,
    sweepMs: SETTLEMENT_SWEEP_MS,
  });
  const routes: AllRouteDeps = {
    access: accessDeps(parts),
    audit: auditDeps(parts),
    datasets: datasetsDeps(parts, links),
    ...createKnowledgeRoutes(parts, { serving, knowledge, outbound, links }),
    training: {
      ...createTrainingStore(db),
      readProfile: (ref) => readJsonArtifact<SnapshotProfile>(parts.artifacts, ref),
      limits: defaultTrainingLimits,
      links,
    },
    registry: createRegistryStore(db),
    evaluation: { ...evaluation, links },
    approval: approvalDeps(parts, links),
    release: {
      ...createReleaseStore(db),
      ...createReleaseViews(db),
      ...createRoutingStore(db),
      ...createKillStore(db),
      links,
      maxHistoryEvents: MAX_HISTORY_EVENTS,
    },
    inference: { ...inferenceDeps(serving, inferences), waitFor: settlements.waitFor, links },
    decisions: {
      ...createDecisionStore(db),
      verifySignature: createApprovalVerifier(serving.secrets),
    },
    feedback: {
      ...createFeedbackStore(db),
      findContract: async (tenant, model, version) =>
        (await serving.versions.find(tenant, model, version))?.facts.contract,
      subjectToken: serving.tokenOf,
    },
    reconcile: createDivergenceStore(db),
  };
  const uploadSweep = createUploadSweepLoop({
    sweep: (of) => parts.artifacts.sweep(of),
    uploadMs: UPLOAD_ABANDONED_MS,
    nowMs: () => Date.now(),
    log: parts.log,
  });
  const loops: NamedLoop[] = [
    { name: 'settlements', loop: settlements },
    { name: 'upload-sweep', loop: uploadSweep },
  ];
  return {
    routes,
    loops,
    recordRefusal: createAuditStore(db).recordRefusal,
    close: async () => {
      await knowledge.close();
      await outbound.close();
    },
  };
}
