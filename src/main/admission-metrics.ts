import { Counter, Gauge, type Registry } from 'prom-client';
import {
  admissionClasses,
  refusalReasons,
  type AdmissionClass,
  type RefusalReason,
} from '../domain/admission/contract.js';

/** What admission shows to whoever scrapes it. */
interface Shown {
  limit: number;
  inFlight: Record<AdmissionClass, number>;
  streams: number;
}

/** Metrics of admission; labels are classes, reasons and sources alone. */
export function createAdmissionMetrics(registry: Registry) {
  const registers = [registry];
  const shed = new Counter({
    name: 'anneal_shed_total',
    help: 'Requests that were refused before any work, by what they are worth and by the limit.',
    labelNames: ['class', 'reason'],
    registers,
  });
  const leases = new Counter({
    name: 'anneal_rate_leases_total',
    help: 'Leases of requests a minute: from Postgres, or from this process’s part while Postgres does not answer.',
    labelNames: ['source'],
    registers,
  });
  const unknown = new Counter({
    name: 'anneal_backlog_unknown_total',
    help: 'Looks at the backlog of durable starts that Temporal did not answer; starts are let through.',
    registers,
  });
  // A series that begins with its first event hides that event from `increase`.
  for (const name of admissionClasses)
    for (const reason of refusalReasons) shed.inc({ class: name, reason }, 0);
  for (const source of ['store', 'insurance']) leases.inc({ source }, 0);
  const gauge = <L extends string>(name: string, help: string, labelNames: L[] = []) =>
    new Gauge({ name, help, labelNames, registers });
  const limit = gauge('anneal_admission_limit', 'Requests that may be at work at once, now.');
  const permits = gauge('anneal_admission_permits', 'Requests at work.', ['class']);
  const streams = gauge(
    'anneal_admission_streams',
    'Request bodies on their way, uploads among them.',
  );
  const poolWait = gauge(
    'anneal_database_wait_seconds',
    '95th percentile of the wait for a Postgres connection in the last window.',
  );
  return {
    shed: (of: { class: AdmissionClass; reason: RefusalReason }) =>
      shed.inc({ class: of.class, reason: of.reason }),
    leased: (source: 'store' | 'insurance') => leases.inc({ source }),
    backlogUnknown: () => unknown.inc(),
    show: (state: Shown, poolWaitMs: number): void => {
      limit.set(state.limit);
      for (const name of admissionClasses) permits.set({ class: name }, state.inFlight[name]);
      streams.set(state.streams);
      poolWait.set(poolWaitMs / 1_000);
    },
  };
}
