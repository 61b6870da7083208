import type { DatasetContract } from '../datasets/dataset-contract.js';
import type { ModelContract } from '../datasets/model-contract.js';
import type { Digest } from '../ids.js';
import type { GoldenRow, VersionLineage } from '../registry/contract.js';
import type { RunFailure, TrainingPlan, TrainingResult, TrainingState } from './contract.js';
import type { CheckpointRef, MetricPoint } from './trainer.js';

/** A snapshot that a run reads rows of. */
export interface RunSnapshot {
  snapshotId: string;
  contract: DatasetContract;
  profileRef: string;
  /** In canonical order: ascending row digest over all parts. */
  parts: { ref: string; rows: number }[];
}

/** A run as its activities see it. */
export interface RunFacts {
  runId: string;
  plan: TrainingPlan;
  requestedBy: string;
  state: string;
  /** Since the trainer first started, by the clock of the database; 0 before. */
  elapsedMs: number;
  snapshot: RunSnapshot;
  evaluationSnapshot: RunSnapshot | undefined;
  result: TrainingResult;
}

/** Progress of a trainer: rows that are there before a heartbeat names them. */
export interface RunProgress {
  metrics?: readonly MetricPoint[] | undefined;
  checkpoint?: CheckpointRef | undefined;
  /** Attempt that wrote it, from 1. */
  attempt: number;
  lines?: readonly string[] | undefined;
}

/** Whether a run may begin. */
export type Admission =
  { kind: 'ADMITTED' } | { kind: 'CANCELLED' } | { kind: 'REFUSED'; failure: RunFailure };

/** Stages that a run enters one after the other. */
export type TrainingStage = 'RUNNING' | 'EVALUATING_HOLDOUT' | 'PACKAGING';

/** How a run ends without a version. */
export interface RunEnd {
  state: 'FAILED' | 'CANCELLED' | 'BUDGET_EXCEEDED' | 'REJECTED_INPUT';
  failure?: RunFailure | undefined;
}

/** How a run has ended. */
export interface RunOutcome {
  state: TrainingState;
  version?: number | undefined;
}

/** Everything a registration needs, made by the packaging of a run. */
export interface VersionPackage {
  artifact: { ref: string; sha256: Digest; sizeBytes: number };
  contract: ModelContract;
  contractDigest: Digest;
  golden: GoldenRow[];
  metrics: Record<string, number>;
  lineage: VersionLineage;
}

/** What a registration answers: the version, or why there is none. */
export type Registration =
  | { kind: 'REGISTERED'; version: number; artifactDigest: string }
  | { kind: 'CANCELLED' }
  | { kind: 'REFUSED'; failure: RunFailure };
