import { NativeConnection, Runtime, Worker } from '@temporalio/worker';
import { createSilentPlugin } from '../../src/main/telemetry.js';
import { loadWorkflowBundles } from '../../src/main/workflow-bundle.js';

// A worker of the product's workflows whose activity answers more than the engine takes, with the engine's own figures on a
// port. A process of its own: the engine's runtime is made once in each.
//   oversize-worker.ts <address> <namespace> <bundle> <port of the metrics>

/** Beyond the 2 MB that a payload may have. */
const OVERSIZE_BYTES = 3_000_000;

const [address = '', namespace = '', bundle, port = ''] = process.argv.slice(2);
Runtime.install({
  telemetryOptions: { metrics: { prometheus: { bindAddress: `127.0.0.1:${port}` } } },
});
const connection = await NativeConnection.connect({ address });
const worker = await Worker.create({
  connection,
  namespace,
  taskQueue: 'orchestration',
  workflowBundle: (await loadWorkflowBundles(bundle)).all,
  activities: {
    authoriseStart: async () => undefined,
    settleApproval: async () => ({ state: 'APPROVED', more: 'x'.repeat(OVERSIZE_BYTES) }),
  },
  plugins: [createSilentPlugin()],
});
await worker.run();
await connection.close();
