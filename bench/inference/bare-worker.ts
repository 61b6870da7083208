import { fileURLToPath } from 'node:url';
import { NativeConnection, Worker } from '@temporalio/worker';

/** The baseline's worker, with the options of ours. */
const connection = await NativeConnection.connect({ address: String(process.env.BARE_ADDRESS) });
const worker = await Worker.create({
  connection,
  namespace: 'default',
  taskQueue: 'bare',
  workflowsPath: fileURLToPath(new URL('./bare-workflow.ts', import.meta.url)),
  activities: { doNothing: async () => 'done' },
  stickyQueueScheduleToStartTimeout: '1s',
  maxCachedWorkflows: 500,
  maxConcurrentActivityTaskExecutions: 200,
  maxConcurrentLocalActivityExecutions: 200,
  workflowTaskPollerBehavior: { type: 'autoscaling' },
  activityTaskPollerBehavior: { type: 'autoscaling' },
});
process.on('SIGTERM', () => worker.shutdown());
process.send?.('ready');
await worker.run();
await connection.close();
process.disconnect();
