import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import { ChildWorkflowFailure, executeChild, ParentClosePolicy, sleep } from '@temporalio/workflow';
import type { StartRequest } from '../../domain/events/contract.js';
import { searchAttributes } from '../../domain/search-attributes.js';

const LONGEST_LOOK_MS = 300_000;

type Ended = 'ENDED' | 'ELSEWHERE';

/** Runs the child; false where the relay was faster, so that its end cannot be awaited. */
async function execute(start: StartRequest): Promise<Ended> {
  const { tenant } = start.input;
  const { Target, Phase, WaitingOn } = start.options.searchAttributes;
  try {
    await executeChild(start.workflowType, {
      args: [start.input],
      workflowId: start.workflowId,
      workflowIdReusePolicy: 'REJECT_DUPLICATE',
      // It works on rows of its own, which it settles whatever becomes of this run.
      parentClosePolicy: ParentClosePolicy.ABANDON,
      cancellationType: 'ABANDON',
      staticSummary: start.options.summary,
      priority: { priorityKey: start.options.priorityKey, fairnessKey: tenant },
      typedSearchAttributes: [
        { key: searchAttributes.Tenant, value: tenant },
        { key: searchAttributes.Target, value: Target ?? '' },
        { key: searchAttributes.Phase, value: Phase ?? '' },
        { key: searchAttributes.WaitingOn, value: WaitingOn ?? '' },
      ],
    });
    return 'ENDED';
  } catch (error) {
    if (error instanceof WorkflowExecutionAlreadyStartedError) return 'ELSEWHERE';
    // How it failed is in its row; where it is not, nothing more will come.
    if (error instanceof ChildWorkflowFailure) return 'ENDED';
    throw error;
  }
}

/**
 * Runs a child that has an intent of its own and answers what its facts say. They decide, not its result: the relay may
 * have started it, or an earlier run of this workflow.
 * @returns undefined where it ended without settling its row
 */
export async function runChild<F extends { over: boolean }>(
  start: StartRequest,
  read: () => Promise<F>,
  lookMs: number,
): Promise<F | undefined> {
  const ended = await execute(start);
  for (let wait = lookMs; ; wait = Math.min(LONGEST_LOOK_MS, wait * 2)) {
    const facts = await read();
    if (facts.over) return facts;
    if (ended === 'ENDED') return undefined;
    await sleep(wait);
  }
}
