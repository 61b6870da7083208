import { createServer, type Server } from 'node:http';
import type { Metrics } from './metrics.js';

/** One readiness check: undefined when well, else what is wrong. */
export type ReadinessCheck = () => Promise<string | undefined>;

/** Names of the checks that processes have; `stopping` is the API's alone, and an alert tells by it that there is one. */
export const readinessChecks = ['stopping', 'database', 'temporal', 'workers', 'loops'] as const;

/** A check that answers later than this is not well; a scrape must not wait for a store that is away. */
const CHECK_MS = 2_000;

async function inTime(check: ReadinessCheck): Promise<string | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<string>((resolve) => {
    timer = setTimeout(() => resolve(`no answer within ${CHECK_MS} ms`), CHECK_MS);
  });
  return Promise.race([check().catch(String), late]).finally(() => clearTimeout(timer));
}

/**
 * The internal listener: `/livez` (the loop answers), `/readyz` (each check by name, 503 where one fails), `/metrics`.
 * Loopback by default; it carries no tenant data.
 */
export async function startInternalListener(options: {
  host: string;
  port: number;
  metrics: Metrics;
  checks: Partial<Record<(typeof readinessChecks)[number], ReadinessCheck>>;
}): Promise<{ server: Server; close: () => Promise<void> }> {
  const { registry, platform } = options.metrics;
  const readiness = async () => {
    const results = await Promise.all(
      Object.entries(options.checks).map(
        async ([name, check]) => [name, (await inTime(check)) ?? 'ok'] as const,
      ),
    );
    for (const [name, state] of results) platform.setReady(name, state === 'ok');
    return {
      ready: results.every(([, state]) => state === 'ok'),
      checks: Object.fromEntries(results),
    };
  };
  const server = createServer((request, response) => {
    const send = (status: number, type: string, body: string) =>
      response.writeHead(status, { 'content-type': type }).end(body);
    if (request.url === '/livez') send(200, 'text/plain', 'ok\n');
    else if (request.url === '/metrics') {
      void readiness()
        .then(() => registry.metrics())
        .then((text) => send(200, registry.contentType, text));
    } else if (request.url === '/readyz') {
      void readiness().then((state) =>
        send(state.ready ? 200 : 503, 'application/json', JSON.stringify(state)),
      );
    } else send(404, 'text/plain', 'not found\n');
  });
  await listen(server, options);
  return { server, close: () => closeServer(server) };
}

/** Binds a server. @throws a sentence with the port where it is busy */
export const listen = (server: Server, at: { host: string; port: number }): Promise<void> =>
  new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) =>
      reject(
        error.code === 'EADDRINUSE' ? new Error(`port ${at.port} on ${at.host} is busy`) : error,
      ),
    );
    server.listen(at.port, at.host, resolve);
  });

/** Stops accepting, lets running requests end, and closes idle connections. */
export const closeServer = (server: Server): Promise<void> =>
  new Promise((resolve) => {
    server.close(() => resolve());
    server.closeIdleConnections();
  });
