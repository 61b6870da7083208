import type { Connection } from '@temporalio/client';
import { msToTs, optionalTsToMs } from '@temporalio/common/lib/time.js';

const dayMs = 24 * 60 * 60 * 1_000;

/**
 * Sets how long the namespace keeps closed runs, 30 days by default; the dev server's own default is 24 h. The server
 * refuses less than 1 h. Does nothing where it is so already.
 */
export async function setNamespaceRetention(
  connection: Connection,
  namespace: string,
  retentionMs: number = 30 * dayMs,
): Promise<void> {
  const { config } = await connection.workflowService.describeNamespace({ namespace });
  if (optionalTsToMs(config?.workflowExecutionRetentionTtl) === retentionMs) return;
  await connection.workflowService.updateNamespace({
    namespace,
    config: { workflowExecutionRetentionTtl: msToTs(retentionMs) },
  });
}
