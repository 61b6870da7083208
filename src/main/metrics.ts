import { createServer, type Server } from 'node:http';
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';
import { createKnowledgeMetrics } from './knowledge-metrics.js';

/** The metrics of a process; labels are bounded: never a tenant, a key or an id. */
export interface Metrics {
  registry: Registry;
  /** One finished request. */
  observeRequest: (operation: string, status: number, seconds: number) => void;
  countDecision: (state: string) => void;
  countAttempt: (outcome: string) => void;
  /** One activity that ended; seconds of its run. */
  observeActivity: (name: string, outcome: 'ok' | 'failed' | 'cancelled', seconds: number) => void;
  knowledge: ReturnType<typeof createKnowledgeMetrics>;
}

/** Creates the registry with the process's default metrics and the domain set that this build emits. */
export function createMetrics(): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const registers = [registry];
  const requests = new Histogram({
    name: 'anneal_request_seconds',
    help: 'Duration of API requests by operation and status.',
    labelNames: ['operation', 'status'],
    buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
    registers,
  });
  const activities = new Histogram({
    name: 'anneal_activity_seconds',
    help: 'Duration of activities by name and outcome.',
    labelNames: ['activity', 'outcome'],
    buckets: [0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 60, 600],
    registers,
  });
  const decisions = new Counter({
    name: 'anneal_decision_rows_total',
    help: 'Settled inferences by state.',
    labelNames: ['state'],
    registers,
  });
  const attempts = new Counter({
    name: 'anneal_attempts_total',
    help: 'Model calls by outcome class.',
    labelNames: ['class'],
    registers,
  });
  return {
    registry,
    knowledge: createKnowledgeMetrics(registry),
    observeRequest: (operation, status, seconds) =>
      requests.observe({ operation, status }, seconds),
    observeActivity: (activity, outcome, seconds) =>
      activities.observe({ activity, outcome }, seconds),
    countDecision: (state) => decisions.inc({ state }),
    countAttempt: (outcome) => attempts.inc({ class: outcome }),
  };
}

/** A gauge that is read when it is scraped. */
export function gauge(
  metrics: Metrics,
  about: { name: string; help: string },
  read: () => number,
): void {
  new Gauge({
    ...about,
    registers: [metrics.registry],
    collect() {
      this.set(read());
    },
  });
}

/** One readiness check: undefined when well, else what is wrong. */
export type ReadinessCheck = () => Promise<string | undefined>;

/**
 * The internal listener: `/livez` (the loop answers), `/readyz` (each check by name, 503 where one fails), `/metrics`.
 * Loopback by default; it carries no tenant data.
 */
export async function startInternalListener(options: {
  host: string;
  port: number;
  metrics: Metrics;
  checks: Record<string, ReadinessCheck>;
}): Promise<{ server: Server; close: () => Promise<void> }> {
  const readiness = async () => {
    const results = await Promise.all(
      Object.entries(options.checks).map(
        async ([name, check]) => [name, (await check().catch(String)) ?? 'ok'] as const,
      ),
    );
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
      void options.metrics.registry
        .metrics()
        .then((text) => send(200, options.metrics.registry.contentType, text));
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
