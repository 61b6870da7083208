import { NativeConnection, Runtime } from '@temporalio/worker';
import { loadConfig, type Config } from '../config.js';
import { openParts, requireUrl } from './dependencies.js';
import { createLog } from './log.js';
import { startInternalListener } from './internal-listener.js';
import { untilReconciled } from './reconcile.js';
import { runProcess, type Running } from './run-process.js';
import { startLoops } from './run-loops.js';
import { createRuntimeLogger } from './runtime-logger.js';
import { createWorkers } from './temporal-workers.js';
import { createWorkerActivities, type WorkerAround } from './worker-activities.js';
import { createWorkerLoops } from './worker-loops.js';
import { loadWorkflowBundles } from './workflow-bundle.js';

/** Bridges the Temporal core's log and metrics; once per process, before the first connection. */
function installRuntime(config: Config): void {
  const { temporalMetricsPort } = config.worker;
  Runtime.install({
    logger: createRuntimeLogger(createLog(config, 'worker')),
    telemetryOptions: {
      logging: { forward: {}, filter: { core: 'WARN', other: 'WARN' } },
      ...(temporalMetricsPort === 0
        ? {}
        : {
            metrics: {
              prometheus: { bindAddress: `${config.api.internalHost}:${temporalMetricsPort}` },
            },
          }),
    },
    shutdownSignals: [],
  });
}

/** Starts the workers of all configured roles with their loops. `around` is for entries other than the product's. */
export async function startWorker(config: Config, around?: WorkerAround): Promise<Running> {
  installRuntime(config);
  const opened = await openParts(config, {
    name: 'worker',
    databaseUrl: requireUrl(config.postgres.workerUrl, 'ANNEAL_WORKER_DATABASE_URL'),
  });
  const parts = around?.parts?.(opened) ?? opened;
  const stopping = new AbortController();
  const reconciles = config.worker.roles.includes('orchestration');
  await untilReconciled(parts, { reconciles, signal: stopping.signal });
  const connection = await NativeConnection.connect(
    config.temporal.connection(config.temporal.address),
  );
  const made = await createWorkerActivities(parts, around);
  const { loops: working, close } = made;
  const activities = around?.activities?.(made.activities) ?? made.activities;
  const loops = startLoops(
    parts,
    [...working, ...createWorkerLoops(parts, stopping.signal)],
    stopping.signal,
  );
  const workers = await createWorkers(config.worker, {
    connection,
    namespace: config.temporal.namespace,
    bundles: await loadWorkflowBundles(config.worker.bundlePath),
    activities,
    metrics: parts.metrics,
    log: parts.log,
    plugins: [parts.telemetry],
  });
  const internal = await startInternalListener({
    host: config.api.internalHost,
    port: config.worker.metricsPort,
    metrics: parts.metrics,
    checks: {
      database: async () => void (await parts.db.ping()),
      workers: async () => {
        const down = workers.filter((worker) => worker.getState() !== 'RUNNING');
        return down.length === 0
          ? undefined
          : `${down.length} of ${workers.length} workers are not running`;
      },
      loops: async () => loops.unhealthy(),
    },
  });
  const runs = Promise.all(workers.map((worker) => worker.run()));
  parts.log.info({ roles: config.worker.roles }, 'workers poll');
  return {
    failed: runs.then(() => new Promise<never>(() => {})),
    stop: async () => {
      for (const worker of workers) if (worker.getState() === 'RUNNING') worker.shutdown();
      await runs;
      stopping.abort();
      await loops.ended;
      await close();
      await internal.close();
      await connection.close();
      await parts.close();
    },
  };
}

if (import.meta.main) await runProcess('worker', async () => startWorker(loadConfig()));
