import { openRateLimits } from '../adapters/rate-limits/open-rate-limits.js';
import { readStartBacklog } from '../adapters/temporal/start-backlog.js';
import {
  createAdmission,
  createBacklogLoop,
  createLoadLoop,
  type Admission,
} from '../activities/admission/index.js';
import { defaultInferenceLimits, priorityOf } from '../activities/inference/index.js';
import { AdmissionRefused } from '../api/admission.js';
import { defaultAdaptiveLimit } from '../domain/admission/adaptive-limit.js';
import { defaultShares } from '../domain/admission/class-of-request.js';
import { taskQueues } from '../domain/task-queues.js';
import { requireUrl, type Parts } from './dependencies.js';
import type { AllRouteDeps } from './routes.js';
import type { NamedLoop } from './run-loops.js';
import type { Serving } from './serving.js';

/** A window of the adaptive limit. */
const WINDOW_MS = 500;
/** Calls of the control plane at once, and bodies on their way. */
const CONTROL_COUNT = 64;
const STREAM_COUNT = 256;
const BACKLOG = { everyMs: 1_500, freshMs: 10_000 };
/** Who is refused for a backlog asks again within these. */
const BACKLOG_WAIT_MS = { least: 2_000, most: 60_000 };

type Admit = AllRouteDeps['inference']['admit'];

/**
 * Admission with the gate of durable starts in front of it: of what would be late nothing is written and nothing started. A
 * repeat starts nothing, and is answered whatever waits.
 */
function gated(
  admit: Admit,
  of: {
    findAdmitted: Serving['pipeline']['findAdmitted'];
    gate: ReturnType<typeof createBacklogLoop>;
    shed: Parts['metrics']['admission']['shed'];
  },
): Admit {
  return async (request, context) => {
    const lateByMs = of.gate.lateBy({
      priority: priorityOf(request, context.waiting),
      deadlineMs: request.deadlineMs ?? defaultInferenceLimits.deadlineMs,
    });
    if (lateByMs === undefined) return admit(request, context);
    const before = await of.findAdmitted(context.caller);
    if (before !== undefined) return before;
    const as = { reason: 'backlog', class: context.waiting ? 'interactive' : 'durable' } as const;
    of.shed(as);
    const { least, most } = BACKLOG_WAIT_MS;
    const waitMs = Math.min(most, Math.max(least, lateByMs));
    throw new AdmissionRefused({ ...as, limit: 0, waitMs }, Math.random());
  };
}

/** What the API refuses before it works: its limits, its gate, and the loops that keep both up to date. */
export async function openAdmission(parts: Parts) {
  const { config, log, metrics, congestion, temporal } = parts;
  const { rates, replicaCount: replicas, inflightCount: max } = config.api;
  const limits = openRateLimits({
    url: requireUrl(config.postgres.apiUrl, 'ANNEAL_API_DATABASE_URL'),
    limits: { address: rates.address, key: rates.key, tenant: rates.tenant },
    failures: rates.failures,
    replicas,
    onDown: (reason) => log.warn({ reason, replicas }, 'rates are counted by this process alone'),
    onLease: metrics.admission.leased,
  });
  await limits.selfTest();
  const admission: Admission = createAdmission({
    ...limits,
    limit: {
      ...defaultAdaptiveLimit,
      max,
      min: Math.min(max, defaultAdaptiveLimit.min),
      initial: Math.min(max, defaultAdaptiveLimit.initial),
    },
    shares: defaultShares,
    controlCount: CONTROL_COUNT,
    streamCount: STREAM_COUNT,
    monotonicMs: () => performance.now(),
    refused: metrics.admission.shed,
  });
  const load = createLoadLoop({
    loopLagMs: congestion.loopLagMs,
    poolWaitMs: congestion.poolWaitMs,
    tick: (felt) => {
      admission.tick(felt);
      metrics.admission.show(admission.state(), felt.poolWaitMs);
    },
    everyMs: WINDOW_MS,
  });
  const gate = createBacklogLoop({
    read: () =>
      readStartBacklog(temporal.connection, {
        namespace: config.temporal.namespace,
        queue: taskQueues.inference,
      }),
    ...BACKLOG,
    monotonicMs: () => performance.now(),
    log,
    observe: (backlog) => {
      if (backlog === undefined) metrics.admission.backlogUnknown();
    },
  });
  const loops: NamedLoop[] = [
    { name: 'admission-load', loop: load },
    { name: 'admission-backlog', loop: gate },
  ];
  return {
    edge: admission,
    /** The same routes, durable starts behind their gate. */
    gate: (routes: AllRouteDeps, { findAdmitted }: Serving['pipeline']): AllRouteDeps => ({
      ...routes,
      inference: {
        ...routes.inference,
        admit: gated(routes.inference.admit, { findAdmitted, gate, shed: metrics.admission.shed }),
      },
    }),
    loops,
    close: limits.close,
  };
}
