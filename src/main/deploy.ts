import { connectTemporal } from '../adapters/temporal/connect.js';
import { makeVersionCurrent } from '../adapters/temporal/make-version-current.js';
import { ConfigError, loadConfig } from '../config.js';
import { taskQueues } from '../domain/task-queues.js';
import { runStep } from './run-step.js';

// Makes this build's workers the ones that new runs go to. Without it a versioned worker gets no tasks, and no error.

const PATIENCE_MS = 180_000;

await runStep('deploy', async () => {
  const { temporal, worker } = loadConfig();
  if (worker.deployment === undefined) {
    throw new ConfigError(['TEMPORAL_DEPLOYMENT_NAME, TEMPORAL_WORKER_BUILD_ID: name the version']);
  }
  const { connection, close } = await connectTemporal({
    connection: temporal.connection(temporal.address),
    namespace: temporal.namespace,
    patienceMs: PATIENCE_MS,
  });
  try {
    await makeVersionCurrent(connection, {
      namespace: temporal.namespace,
      version: worker.deployment,
      queues: Object.values(taskQueues),
      patienceMs: PATIENCE_MS,
    });
    const { deploymentName, buildId } = worker.deployment;
    console.log(`new runs of deployment ${deploymentName} go to build ${buildId}`);
  } finally {
    await close();
  }
});
