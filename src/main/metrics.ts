import { collectDefaultMetrics, Counter, Histogram, Registry } from 'prom-client';
import { inferenceStates } from '../domain/inference/contract.js';
import { createAdmissionMetrics } from './admission-metrics.js';
import { createEdgeMetrics } from './edge-metrics.js';
import { createKnowledgeMetrics } from './knowledge-metrics.js';
import { createPlatformMetrics } from './platform-metrics.js';

/**
 * The metrics of a process; labels are bounded: never a tenant, a key or an id. API and workers declare all of them, and
 * each writes its own.
 */
export interface Metrics {
  registry: Registry;
  countDecision: (state: string) => void;
  countAttempt: (outcome: string) => void;
  /** One activity that ended; seconds of its run. */
  observeActivity: (name: string, outcome: 'ok' | 'failed' | 'cancelled', seconds: number) => void;
  admission: ReturnType<typeof createAdmissionMetrics>;
  edge: ReturnType<typeof createEdgeMetrics>;
  platform: ReturnType<typeof createPlatformMetrics>;
  knowledge: ReturnType<typeof createKnowledgeMetrics>;
}

/** A metric as it is declared. */
export interface DeclaredMetric {
  name: string;
  type: string;
  labelNames: string[];
  help: string;
}

/** Everything that a registry declares; the library's own type of it leaves most of this out. */
export const declaredMetrics = ({ registry }: Pick<Metrics, 'registry'>): DeclaredMetric[] =>
  registry.getMetricsAsArray() as unknown as DeclaredMetric[];

/** Creates the registry with the process's default metrics and everything that this build emits. */
export function createMetrics(): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const registers = [registry];
  const activities = new Histogram({
    name: 'anneal_activity_seconds',
    help: 'Duration of activities.',
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
  for (const state of inferenceStates) decisions.inc({ state }, 0);
  const attempts = new Counter({
    name: 'anneal_attempts_total',
    help: 'Model calls by outcome class.',
    labelNames: ['class'],
    registers,
  });
  return {
    registry,
    admission: createAdmissionMetrics(registry),
    edge: createEdgeMetrics(registry),
    platform: createPlatformMetrics(registry),
    knowledge: createKnowledgeMetrics(registry),
    observeActivity: (activity, outcome, seconds) =>
      activities.observe({ activity, outcome }, seconds),
    countDecision: (state) => decisions.inc({ state }),
    countAttempt: (outcome) => attempts.inc({ class: outcome }),
  };
}
