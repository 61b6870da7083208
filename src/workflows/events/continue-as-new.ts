import {
  allHandlersFinished,
  condition,
  makeContinueAsNewFunc,
  workflowInfo,
  type Workflow,
} from '@temporalio/workflow';

/**
 * Whether a long-lived run should go on as a new one: its history reached our limit, the server suggests it, or the
 * deployment has a newer worker version.
 * @param maxHistoryEvents the limit that its input carries; the server's own comes much later
 */
export function shouldContinueAsNew(maxHistoryEvents: number): boolean {
  const info = workflowInfo();
  return (
    info.continueAsNewSuggested ||
    info.historyLength >= maxHistoryEvents ||
    info.targetWorkerDeploymentVersionChanged === true
  );
}

/**
 * Goes on as a new run with the same input, once no handler is left open. `AUTO_UPGRADE` moves the entity to the
 * current worker version; leaving it out once would silence the upgrade flag for good.
 */
export async function continueAsNew<F extends Workflow>(...args: Parameters<F>): Promise<never> {
  await condition(allHandlersFinished);
  const next = makeContinueAsNewFunc<F>({ initialVersioningBehavior: 'AUTO_UPGRADE' });
  return next(...args);
}
