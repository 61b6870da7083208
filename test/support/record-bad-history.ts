import { randomUUID } from 'node:crypto';
import { NativeConnection, Worker } from '@temporalio/worker';
import type { TemporalClient } from '../../src/adapters/temporal/connect.js';
import { historyJson, writeHistory } from './write-history.js';

/**
 * Runs test/replay/bad/await-approval.ts, which is not the workflow whose name it bears, and keeps its history: the
 * replay test passes only if replaying it fails for the right reason.
 */
export async function recordBadHistory(
  { client }: TemporalClient,
  { address, namespace }: { address: string; namespace: string },
): Promise<void> {
  const connection = await NativeConnection.connect({ address });
  const taskQueue = `replay-bad-${randomUUID()}`;
  const worker = await Worker.create({
    connection,
    namespace,
    taskQueue,
    workflowsPath: new URL('../replay/bad/await-approval.ts', import.meta.url).pathname,
    activities: { countVotes: async () => undefined },
  });
  await worker.runUntil(async () => {
    const handle = await client.workflow.start('awaitApproval', {
      workflowId: 'approval/default/replay-bad',
      workflowIdReusePolicy: 'ALLOW_DUPLICATE',
      taskQueue,
      args: [{ tenant: 'default', approvalId: 'replay-bad' }],
    });
    await handle.result();
    await writeHistory(
      'bad/await-approval.other-steps.json',
      historyJson(await handle.fetchHistory()),
    );
  });
  await connection.close();
  console.log('  bad/await-approval.other-steps.json');
}
