import {
  allHandlersFinished,
  CancellationScope,
  condition,
  isCancellation,
  proxyActivities,
} from '@temporalio/workflow';
import type { createApprovalActivities } from '../../activities/approval/index.js';
import {
  isOpen,
  MAX_RECHECK_MS,
  MIN_RECHECK_MS,
  type AwaitApprovalInput,
  type AwaitApprovalOutput,
} from '../../domain/approval/contract.js';
import { bookkeeping } from '../events/bookkeeping.js';
import { acceptWakes } from '../events/accept-wakes.js';
import { authorise } from '../events/authorise.js';
import { trackStatus } from '../events/track-status.js';

const { settleApproval, remindApprovers, withdrawApproval } =
  proxyActivities<ReturnType<typeof createApprovalActivities>>(bookkeeping);

/**
 * Holds an approval until people decided it or its time is over. The decisions are signed rows; this run only looks
 * again when it is woken or when a timer says that the database may call it expired.
 *
 * PENDING → PARTIAL → APPROVED | REJECTED | CHANGES_REQUESTED | EXPIRED | WITHDRAWN | INVALIDATED
 */
export async function awaitApproval(input: AwaitApprovalInput): Promise<AwaitApprovalOutput> {
  const wakes = { woken: false, closing: false };
  const startedAt = Date.now();
  const move = trackStatus({ state: 'PENDING', waitingOn: 'approver' });
  acceptWakes(wakes);
  await authorise({ ...input });

  const facts = { tenant: input.tenant, approvalId: input.approvalId };
  const reminders = input.reminderBp.map((shareBp) =>
    Math.round((input.deadlineMs * shareBp) / 10_000),
  );
  let found = await settleApproval(facts);
  try {
    while (isOpen(found.state)) {
      const elapsed = Date.now() - startedAt;
      const nextReminder = reminders.find((at) => at > elapsed);
      const wait = Math.min(found.remainingMs, (nextReminder ?? Infinity) - elapsed);
      move(
        { state: found.state, waitingOn: 'approver', nextAtMs: Date.now() + wait },
        describe(input, found.decided),
      );
      await condition(
        () => wakes.woken,
        Math.max(MIN_RECHECK_MS, Math.min(wait, input.deadlineMs + MAX_RECHECK_MS)),
      );
      if (!wakes.woken && nextReminder !== undefined && Date.now() - startedAt >= nextReminder) {
        await remindApprovers({
          ...facts,
          elapsedShareBp: input.reminderBp[reminders.indexOf(nextReminder)] ?? 0,
        });
      }
      wakes.woken = false;
      found = await settleApproval(facts);
    }
  } catch (error) {
    if (!isCancellation(error)) throw error;
    found = await CancellationScope.nonCancellable(() => withdrawApproval(facts));
  }
  wakes.closing = true;
  move({ state: found.state, waitingOn: 'nothing' }, describe(input, found.decided));
  await condition(allHandlersFinished);
  return { state: found.state };
}

const describe = (input: AwaitApprovalInput, decided: string): string =>
  `| model | version | environment | decisions |\n|---|---|---|---|\n| ${input.model} | v${input.version} | ${input.env} | ${decided} |`;
