import type {
  Admission,
  Registration,
  RunEnd,
  RunOutcome,
} from '../../domain/training/run-facts.js';
import { workflowCaller } from '../run-of.js';
import { createEvaluateHoldout } from './evaluate-holdout.js';
import { createPackageModel } from './package-model.js';
import { createCheckpointFiles, createRunFiles } from './run-files.js';
import { createRunTrainer } from './run-trainer.js';
import type { TrainingDeps } from './training-deps.js';

export type { CheckpointFiles, TrainingDeps } from './training-deps.js';

/** Names a run of a tenant. */
interface RunInput {
  tenant: string;
  runId: string;
}

/** Activities of `training`. The first four and the last are bookkeeping; the others run on queue `training`. */
export function createTrainingActivities(deps: TrainingDeps) {
  const attempts = new Map<string, number>();
  const files = createRunFiles(deps.artifacts);
  const checkpoints = createCheckpointFiles(deps, (job) => attempts.get(job) ?? 1);
  const trainer = deps.createTrainer(checkpoints);
  const noteAttempt = (job: string, attempt: number): void => {
    attempts.delete(job);
    attempts.set(job, attempt);
    const [oldest] = attempts.keys();
    if (attempts.size > 1_000 && oldest !== undefined) attempts.delete(oldest);
  };
  return {
    /** QUEUED → ADMITTED, or why the run may not begin. */
    admitTraining: ({ tenant, runId }: RunInput): Promise<Admission> =>
      deps.runs.admitRun(workflowCaller(tenant), runId),
    /** True where someone asked to cancel the run. */
    isTrainingCancelled: ({ tenant, runId }: RunInput): Promise<boolean> =>
      deps.runs.isCancelRequested(tenant, runId),
    /** Ends a run without a version; answers how it has ended. */
    settleTraining: ({ tenant, runId, end }: RunInput & { end: RunEnd }): Promise<RunOutcome> =>
      deps.runs.settleRun(workflowCaller(tenant), runId, end),
    runTrainer: createRunTrainer({ deps, files, trainer, noteAttempt }),
    evaluateHoldout: createEvaluateHoldout({ deps, files }),
    packageModel: createPackageModel({ deps, files }),
    /** Registers the version that the packaging made. Idempotent by run. */
    registerVersion: async ({ tenant, runId }: RunInput): Promise<Registration> => {
      const made = await files.readPackage({ tenant, runId });
      return deps.runs.registerVersion(workflowCaller(tenant), { runId, made });
    },
  };
}
