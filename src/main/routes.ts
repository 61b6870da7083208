import { accessRoutes, type AccessRouteDeps } from '../api/access/index.js';
import { approvalRoutes, type ApprovalRouteDeps } from '../api/approval/index.js';
import { auditRoutes, type AuditRouteDeps } from '../api/audit/index.js';
import { datasetsRoutes, type DatasetsRouteDeps } from '../api/datasets/index.js';
import { decisionsRoutes, type DecisionsRouteDeps } from '../api/decisions/index.js';
import { etlRoutes, type EtlRouteDeps } from '../api/etl/index.js';
import { evaluationRoutes, type EvaluationRouteDeps } from '../api/evaluation/index.js';
import { feedbackRoutes, type FeedbackRouteDeps } from '../api/feedback/index.js';
import { inferenceRoutes, type InferenceRouteDeps } from '../api/inference/index.js';
import { reconcileRoutes, type ReconcileRouteDeps } from '../api/reconcile/index.js';
import { registryRoutes, type RegistryRouteDeps } from '../api/registry/index.js';
import { releaseRoutes, type ReleaseRouteDeps } from '../api/release/index.js';
import { retrievalRoutes, type RetrievalRouteDeps } from '../api/retrieval/index.js';
import type { Route } from '../api/route.js';
import { trainingRoutes, type TrainingRouteDeps } from '../api/training/index.js';

/** What all endpoints together ask for, by capability. */
export interface AllRouteDeps {
  access: AccessRouteDeps;
  audit: AuditRouteDeps;
  datasets: DatasetsRouteDeps;
  etl: EtlRouteDeps;
  retrieval: RetrievalRouteDeps;
  training: TrainingRouteDeps;
  registry: RegistryRouteDeps;
  evaluation: EvaluationRouteDeps;
  approval: ApprovalRouteDeps;
  release: ReleaseRouteDeps;
  inference: InferenceRouteDeps;
  decisions: DecisionsRouteDeps;
  feedback: FeedbackRouteDeps;
  reconcile: ReconcileRouteDeps;
}

/** Every endpoint of the platform, in lifecycle order. */
export const allRoutes = (deps: AllRouteDeps): Route[] => [
  ...accessRoutes(deps.access),
  ...auditRoutes(deps.audit),
  ...datasetsRoutes(deps.datasets),
  ...etlRoutes(deps.etl),
  ...retrievalRoutes(deps.retrieval),
  ...trainingRoutes(deps.training),
  ...registryRoutes(deps.registry),
  ...evaluationRoutes(deps.evaluation),
  ...approvalRoutes(deps.approval),
  ...releaseRoutes(deps.release),
  ...inferenceRoutes(deps.inference),
  ...decisionsRoutes(deps.decisions),
  ...feedbackRoutes(deps.feedback),
  ...reconcileRoutes(deps.reconcile),
];
