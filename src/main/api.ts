import type { ServerResponse } from 'node:http';
import { loadConfig, requireHosts, type Config } from '../config.js';
import { createApp } from '../api/app.js';
import type { EtlRouteDeps } from '../api/etl/index.js';
import type { EdgeDeps } from '../api/serve-route.js';
import { openAdmission } from './admission.js';
import { createAuthentication } from './api-authentication.js';
import { createRouteDeps } from './api-dependencies.js';
import { openParts, requireUrl, type Parts } from './dependencies.js';
import { createRequestIds } from './create-request-ids.js';
import { createEdgeServer } from './edge-server.js';
import { closeServer, listen, startInternalListener } from './internal-listener.js';
import { allRoutes } from './routes.js';
import { untilReconciled } from './reconcile.js';
import { runProcess, type Running } from './run-process.js';
import { startLoops } from './run-loops.js';
import { createServing } from './serving.js';
import { traceRequest } from './telemetry.js';

const DRAIN_MS = 30_000;

const newRequestId = createRequestIds();
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** What an entry other than the product's puts around what a capability asks for: failpoints. */
export interface ApiAround {
  parts?: ((parts: Parts) => Parts) | undefined;
  etl?: ((deps: EtlRouteDeps) => EtlRouteDeps) | undefined;
}

const isShed = ({ code }: { code?: string | undefined }): boolean =>
  code === 'RATE_LIMITED' || code === 'OVERLOADED';

/** The public server on an ephemeral or configured port; what tests start in process. */
export async function createPublicServer(
  parts: Parts,
  stopping: AbortSignal,
  around: ApiAround = {},
) {
  const { config, log, metrics, starter } = parts;
  const serving = createServing(parts, 'api');
  const routeDeps = createRouteDeps(parts, serving);
  const { routes } = routeDeps;
  const etl = around.etl?.(routes.etl) ?? routes.etl;
  const admission = await openAdmission(parts);
  const observe: EdgeDeps['observe'] = (request) => {
    metrics.edge.observeRequest(request);
    // A line for each request of a flood would be a flood itself.
    if (!isShed(request)) log.info(request, 'request');
  };
  const app = createApp(allRoutes(admission.gate({ ...routes, etl }, serving.pipeline)), {
    admission: admission.edge,
    authenticate: createAuthentication(parts, stopping),
    startWorkflow: starter.startWorkflow,
    wakeWorkflow: starter.wakeWorkflow,
    recordRefusal: routeDeps.recordRefusal,
    newRequestId,
    log,
    observe,
    trace: traceRequest,
    stopping,
    hosts: requireHosts(config),
  });
  const server = createEdgeServer(app, {
    connections: config.api.connectionCount,
    addressConnections: config.api.addressConnectionCount,
    onRejected: metrics.edge.rejectConnection,
    newRequestId,
    onUnreadable: (refused) => observe({ ...refused, operation: 'unmatched', seconds: 0 }),
  });
  server.on('request', (_request, response: ServerResponse) => {
    metrics.edge.changeInflight(1);
    response.once('close', () => metrics.edge.changeInflight(-1));
  });
  const loops = startLoops(
    parts,
    [...serving.loops, ...routeDeps.loops, ...admission.loops],
    stopping,
  );
  await listen(server, { host: config.api.host, port: config.api.port });
  return {
    server,
    loops,
    serving,
    close: async () => {
      await routeDeps.close();
      await admission.close();
    },
  };
}

/** Starts the API. `around` is for entries other than the product's. */
export async function startApi(config: Config, around?: ApiAround): Promise<Running> {
  requireHosts(config);
  const opened = await openParts(config, {
    name: 'api',
    databaseUrl: requireUrl(config.postgres.apiUrl, 'ANNEAL_API_DATABASE_URL'),
  });
  const parts = around?.parts?.(opened) ?? opened;
  const stopping = new AbortController();
  await untilReconciled(parts, { reconciles: false, signal: stopping.signal });
  const { server, loops, close } = await createPublicServer(parts, stopping.signal, around);
  let leaving = false;
  const internal = await startInternalListener({
    host: config.api.internalHost,
    port: config.api.internalPort,
    metrics: parts.metrics,
    checks: {
      stopping: async () => (leaving ? 'the process is stopping' : undefined),
      database: async () => void (await parts.db.ping()),
      temporal: async () => {
        await parts.temporal.connection.workflowService.getSystemInfo({});
        return undefined;
      },
      loops: async () => loops.unhealthy(),
    },
  });
  parts.log.info({ port: config.api.port }, 'the API answers');
  return {
    stop: async () => {
      leaving = true;
      await pause(config.api.drainMs);
      const closed = closeServer(server);
      stopping.abort();
      await Promise.race([closed, pause(DRAIN_MS)]);
      await loops.ended;
      await close();
      await internal.close();
      await parts.close();
    },
  };
}

if (import.meta.main) await runProcess('api', async () => startApi(loadConfig()));
