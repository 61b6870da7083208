import { proxyActivities } from '@temporalio/workflow';

const { doNothing } = proxyActivities<{ doNothing: () => Promise<string> }>({
  startToCloseTimeout: '10s',
});

/** The least a durable request costs on Temporal: one workflow, one activity that does nothing. */
export async function bare(): Promise<string> {
  return doNothing();
}
