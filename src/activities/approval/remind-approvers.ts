import type { Caller } from '../../domain/events/change.js';
import { workflowCaller } from '../run-of.js';

export interface RemindApproversDeps {
  /** Puts a reminder event into the outbox, once per share of the deadline. */
  recordReminder: (
    caller: Caller,
    reminder: { approvalId: string; elapsedShareBp: number },
  ) => Promise<void>;
}

/** Tells whoever listens to events that an approval is still open. Idempotent per share of the deadline. */
export const createRemindApprovers =
  (deps: RemindApproversDeps) =>
  async (input: { tenant: string; approvalId: string; elapsedShareBp: number }): Promise<void> =>
    deps.recordReminder(workflowCaller(input.tenant), input);
