import { CancellationScope, condition, isCancellation } from '@temporalio/workflow';
import type { ReleaseProgress, RollOutReleaseInput } from '../../domain/release/contract.js';
import type { Readiness } from '../../domain/release/readiness.js';
import type { Wakes } from '../events/accept-wakes.js';

/** Timers fire a little early by the database's clock; the rest is waited in one more step. */
const MIN_WAIT_MS = 50;

/** What one run of the workflow holds: its input, and what messages told it. */
export interface Run extends Wakes {
  input: RollOutReleaseInput;
  cancelled: boolean;
}

/** The release of a run. */
export const ref = ({ input }: Run) => ({ tenant: input.tenant, releaseId: input.releaseId });
/** The release at the step that a stage was entered at. */
export const at = (run: Run, { seq }: ReleaseProgress) => ({ ...ref(run), seq });
/** A message came: the stage ends, and the facts are looked at. */
export const disturbed = (run: Run) => run.woken || run.cancelled;

/** Waits for a time or a message, whichever comes first. */
export const wait = (run: Run, ms: number): Promise<boolean> =>
  condition(() => disturbed(run), Math.max(MIN_WAIT_MS, Math.ceil(ms)));

/** Looks at serving processes until they are ready; a message ends the look, without an answer. */
export async function look(
  run: Run,
  started: () => Promise<Readiness>,
): Promise<Readiness | undefined> {
  const scope = new CancellationScope({ cancellable: true });
  const looking = scope.run(started).catch((error: unknown) => {
    if (isCancellation(error)) return undefined;
    throw error;
  });
  await Promise.race([looking, condition(() => disturbed(run))]);
  scope.cancel();
  return looking;
}
