import { PlatformError } from '../../domain/errors.js';
import type { TrainingRunView } from '../../domain/training/contract.js';
import type { TrainingRouteDeps } from './training-route-deps.js';

/** The run of an id. @throws NOT_FOUND */
export async function readRun(
  deps: Pick<TrainingRouteDeps, 'findRun'>,
  tenant: string,
  runId: string,
): Promise<TrainingRunView> {
  const run = await deps.findRun(tenant, runId);
  if (run === undefined) throw new PlatformError('NOT_FOUND', 'There is no such training run.');
  return run;
}
