import type { DatasetContract } from '../../domain/datasets/dataset-contract.js';
import type { SnapshotProfile } from '../../domain/datasets/profile.js';
import type { Caller, Outcome, StartedFacts } from '../../domain/events/change.js';
import type {
  StartTraining,
  TrainingLimits,
  TrainingLogView,
  TrainingMetricView,
  TrainingPlan,
  TrainingRunView,
} from '../../domain/training/contract.js';
import type { TrainingGround } from '../../domain/training/plan-training.js';
import type { Links } from '../started.js';

/** A snapshot as the store reads it: its profile is still a reference. */
export interface SnapshotRow {
  snapshotId: string;
  state: string;
  purposes: string[];
  contractId: string;
  contract: DatasetContract;
  profileRef: string;
}

/** What is there when a run is asked for. */
export interface TrainingFacts {
  model: TrainingGround['model'];
  snapshot: SnapshotRow | undefined;
  evaluationSnapshot: SnapshotRow | undefined;
}

/** What the endpoints of `training` ask for. Lists answer one more than `limit` where there is more. */
export interface TrainingRouteDeps {
  /** Writes the run that `decide` allows, in one transaction with its intent. */
  startRun: (
    caller: Caller,
    asked: { model: string; request: StartTraining; limits: TrainingLimits },
    decide: (facts: TrainingFacts) => Promise<TrainingPlan>,
  ) => Promise<Outcome<StartedFacts>>;
  findRun: (tenant: string, runId: string) => Promise<TrainingRunView | undefined>;
  listRuns: (
    tenant: string,
    filter: { model: string; experiment?: string | undefined; state?: string | undefined },
    page: { limit: number; after: string | undefined },
  ) => Promise<TrainingRunView[]>;
  listMetrics: (
    tenant: string,
    filter: { runId: string; name?: string | undefined },
    page: { limit: number; after: { name: string; step: number } | undefined },
  ) => Promise<TrainingMetricView[]>;
  listLogs: (
    tenant: string,
    runId: string,
    page: { limit: number; after: number },
  ) => Promise<TrainingLogView[]>;
  requestCancel: (caller: Caller, runId: string, reason: string) => Promise<Outcome<StartedFacts>>;
  /** The profile of a snapshot, its digest checked. */
  readProfile: (ref: string) => Promise<SnapshotProfile>;
  /** Thresholds and durations that each run gets. */
  limits: TrainingLimits;
  links: Links;
}
