import {
  type Client,
  WorkflowExecutionAlreadyStartedError,
  WorkflowNotFoundError,
  WorkflowUpdateStage,
} from '@temporalio/client';
import { TypedSearchAttributes } from '@temporalio/common';
import type { StartRequest, WakeRequest } from '../../domain/events/contract.js';
import { REQUEST_ID_MEMO } from '../../domain/request-id.js';
import { searchAttributes } from '../../domain/search-attributes.js';
import { withRequestId } from './request-id-interceptor.js';

/** Starts and wakes workflows; both may be repeated without a second effect. */
export interface Starter {
  startWorkflow: (tenant: string, start: StartRequest) => Promise<void>;
  wakeWorkflow: (wake: WakeRequest) => Promise<void>;
}

function attributesOf(tenant: string, start: StartRequest): TypedSearchAttributes {
  const values = { Tenant: tenant, ...start.options.searchAttributes };
  return new TypedSearchAttributes(
    Object.entries(values).map(([name, value]) => ({
      key: searchAttributes[name as keyof typeof searchAttributes],
      value,
    })),
  );
}

/** A run that is over has nothing left to see; a wake for it is done. */
const isOver = (error: unknown): boolean =>
  error instanceof WorkflowNotFoundError || /already completed|not found/i.test(String(error));

/** Everything about a start that says how it is seen and scheduled, not whether it happens. */
const shownOptions = (tenant: string, start: StartRequest) => ({
  staticSummary: start.options.summary,
  typedSearchAttributes: attributesOf(tenant, start),
  priority: { priorityKey: start.options.priorityKey, fairnessKey: tenant },
  ...(start.options.requestId === undefined
    ? {}
    : { memo: { [REQUEST_ID_MEMO]: start.options.requestId } }),
  ...(start.options.workflowTaskTimeoutMs === undefined
    ? {}
    : { workflowTaskTimeout: start.options.workflowTaskTimeoutMs }),
  ...(start.options.executionTimeoutMs === undefined
    ? {}
    : { workflowExecutionTimeout: start.options.executionTimeoutMs }),
});

/** An entity lives as long as there is something to look at: one that has ended begins again under its id. */
async function signalEntity(client: Client, start: StartRequest): Promise<void> {
  await client.workflow.signalWithStart(start.workflowType, {
    workflowId: start.workflowId,
    taskQueue: start.taskQueue,
    args: [start.input],
    signal: 'changesRecorded',
    signalArgs: [],
    workflowIdReusePolicy: 'ALLOW_DUPLICATE',
    ...shownOptions(start.input.tenant, start),
  });
}

/**
 * True where the run that ended under this id was asked for by another request than this one: after a restore of Postgres
 * a caller may ask again under the key of a request that Postgres has lost.
 */
async function belongsToAnother(client: Client, start: StartRequest): Promise<boolean> {
  const { requestId } = start.options;
  if (requestId === undefined) return false;
  const { memo, status } = await client.workflow.getHandle(start.workflowId).describe();
  return status.name !== 'RUNNING' && memo?.[REQUEST_ID_MEMO] !== requestId;
}

/**
 * The starter of committed intents. Reuse `REJECT_DUPLICATE` and conflict `USE_EXISTING` make a repeated start answer
 * with the first run; "already started" is success. Eager start stays off: it ignores worker versions.
 */
export function createStarter(client: Client): Starter {
  return {
    startWorkflow: async (tenant, start) => {
      try {
        await client.workflow.start(start.workflowType, {
          workflowId: start.workflowId,
          taskQueue: start.taskQueue,
          args: [start.input],
          workflowIdReusePolicy: 'REJECT_DUPLICATE',
          workflowIdConflictPolicy: 'USE_EXISTING',
          ...shownOptions(tenant, start),
        });
      } catch (error) {
        if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
        if (await belongsToAnother(client, start))
          await createRestarter(client)(tenant, start, { replaceRunning: false });
      }
    },
    wakeWorkflow: async ({ workflowId, factId, start, requestId }) => {
      if (start !== undefined) return signalEntity(client, start);
      try {
        await withRequestId(requestId, () =>
          client.workflow.getHandle(workflowId).startUpdate('wake', {
            args: [{ factId }],
            updateId: factId,
            waitForStage: WorkflowUpdateStage.ACCEPTED,
          }),
        );
      } catch (error) {
        if (!isOver(error)) throw error;
      }
    },
  };
}

/**
 * Starts a workflow whose id has had runs before: one that ended is followed by another. A run that is under way goes on,
 * unless it is to be replaced: then it is terminated in the same step.
 */
export const createRestarter =
  (client: Client) =>
  async (
    tenant: string,
    start: StartRequest,
    { replaceRunning }: { replaceRunning: boolean },
  ): Promise<void> => {
    await client.workflow.start(start.workflowType, {
      workflowId: start.workflowId,
      taskQueue: start.taskQueue,
      args: [start.input],
      workflowIdReusePolicy: 'ALLOW_DUPLICATE',
      workflowIdConflictPolicy: replaceRunning ? 'TERMINATE_EXISTING' : 'USE_EXISTING',
      ...shownOptions(tenant, start),
    });
  };
