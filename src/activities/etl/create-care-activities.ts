import type { DueResult, DueWork } from '../../domain/etl/due-work.js';
import type { Caller } from '../../domain/events/change.js';
import { workflowCaller } from '../run-of.js';
import { createCompareCanaryTexts, type CanaryDeps } from './compare-canary-texts.js';

/** What work by the clock asks for. */
export interface CareDeps extends CanaryDeps {
  /** Starts what is due at a row, or says why not; see `DueWork`. */
  startDue: (caller: Caller, work: Pick<DueWork, 'work' | 'id'>) => Promise<DueResult>;
}

/** Activities of work by the clock. `compareCanaryTexts` runs on queue `etl`; `beginDueWork` is bookkeeping. */
export const createCareActivities = (deps: CareDeps) => ({
  beginDueWork: ({ tenant, work, id }: DueWork): Promise<DueResult> =>
    deps.startDue(workflowCaller(tenant), { work, id }),
  compareCanaryTexts: createCompareCanaryTexts(deps),
});
