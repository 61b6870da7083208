import type { ArtifactStore } from '../../domain/artifacts.js';
import type { StoredRow } from '../../domain/datasets/staging.js';
import type { Caller } from '../../domain/events/change.js';
import type { ModelRuntime } from '../../domain/inference/runtime.js';
import type { EnvironmentLock, TrainingResult } from '../../domain/training/contract.js';
import type {
  Admission,
  Registration,
  RunEnd,
  RunFacts,
  RunOutcome,
  RunProgress,
  TrainingStage,
  VersionPackage,
} from '../../domain/training/run-facts.js';
import type { TrainedModel } from '../../domain/training/trained-model.js';
import type { CheckpointRef, Trainer } from '../../domain/training/trainer.js';

/** The rows of training runs in Postgres. Every function may be repeated. */
export interface RunStore {
  /** QUEUED → ADMITTED, or why not. */
  admitRun: (caller: Caller, runId: string) => Promise<Admission>;
  /** Moves the run forward and answers its facts. @throws ILLEGAL_TRANSITION where it is over */
  enterStage: (caller: Caller, runId: string, stage: TrainingStage) => Promise<RunFacts>;
  recordProgress: (tenant: string, runId: string, progress: RunProgress) => Promise<void>;
  /** Newest first. */
  listCheckpoints: (tenant: string, runId: string) => Promise<CheckpointRef[]>;
  dropCheckpoint: (tenant: string, runId: string, step: number) => Promise<void>;
  recordResult: (tenant: string, runId: string, result: TrainingResult) => Promise<void>;
  isCancelRequested: (tenant: string, runId: string) => Promise<boolean>;
  settleRun: (caller: Caller, runId: string, end: RunEnd) => Promise<RunOutcome>;
  /** Registers the version of the run, in one transaction; idempotent by run. */
  registerVersion: (
    caller: Caller,
    registration: { runId: string; made: VersionPackage },
  ) => Promise<Registration>;
}

/** How a trainer keeps checkpoints: stored and entered in their table before it goes on to name them. */
export interface CheckpointFiles {
  saveCheckpoint: (checkpoint: {
    runId: string;
    step: number;
    bytes: Uint8Array;
  }) => Promise<CheckpointRef>;
  readCheckpoint: (checkpoint: CheckpointRef) => Promise<Uint8Array>;
}

/** What the activities of `training` ask for. */
export interface TrainingDeps {
  runs: RunStore;
  artifacts: ArtifactStore;
  /** Rows of snapshot parts in canonical order, some at a time. */
  readParts: (parts: readonly { ref: string }[]) => AsyncIterable<StoredRow[]>;
  /** The trainer of this process, with the files it keeps its checkpoints in. */
  createTrainer: (files: CheckpointFiles) => Trainer;
  /** Writes a trained model as ONNX; equal models give equal bytes. */
  exportModel: (model: TrainedModel) => Uint8Array;
  /** Checks the operators and versions of a model file. */
  scanArtifact: (bytes: Uint8Array) => {
    allowed: boolean;
    findings: readonly { code: string; detail: string }[];
  };
  runtime: ModelRuntime;
  /** Versions of what could change a number. */
  environment: EnvironmentLock;
}
