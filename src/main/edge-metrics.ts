import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import { errorTable, type ErrorCode } from '../domain/errors.js';

const REQUEST_BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

/** Roles whose grant is worth a look: they may change who may do what, or what is served. */
const PRIVILEGED_ROLES = ['approver', 'platform-operator', 'tenant-admin'] as const;

/** Codes with which a request is turned away although nothing is wrong with it. */
const isShed = (code: ErrorCode): boolean => [429, 503].includes(errorTable[code].status);

const authnFailures = [
  'disabled',
  'expired',
  'malformed',
  'missing',
  'revoked',
  'unknown',
  'wrong-secret',
];

/** What the public listener does. */
export function createEdgeMetrics(registry: Registry) {
  const registers = [registry];
  const counter = <L extends string>(name: string, help: string, labelNames: L[]) =>
    new Counter({ name, help, labelNames, registers });
  const requests = counter('anneal_requests_total', 'Finished API requests.', [
    'operation',
    'status',
  ]);
  const seconds = new Histogram({
    name: 'anneal_request_seconds',
    help: 'Duration of API requests.',
    labelNames: ['operation'],
    buckets: REQUEST_BUCKETS,
    registers,
  });
  const inflight = new Gauge({
    name: 'anneal_inflight',
    help: 'Requests that are being answered.',
    registers,
  });
  const refusals = counter('anneal_refusals_total', 'Requests that were refused.', ['code']);
  const rejected = counter(
    'anneal_admission_rejected_total',
    'Requests and connections that were turned away because of load.',
    ['reason'],
  );
  const failures = counter('anneal_authn_failures_total', 'Credentials that proved nobody.', [
    'reason',
  ]);
  const grants = counter(
    'anneal_privileged_grants_total',
    'Grants of roles that decide over others.',
    ['role'],
  );
  // A series that begins with its first event hides that event from `increase`.
  for (const code of Object.keys(errorTable) as ErrorCode[]) {
    refusals.inc({ code }, 0);
    if (isShed(code)) rejected.inc({ reason: code }, 0);
  }
  for (const reason of ['CONNECTIONS', 'ADDRESS_CONNECTIONS']) rejected.inc({ reason }, 0);
  for (const reason of authnFailures) failures.inc({ reason }, 0);
  for (const role of PRIVILEGED_ROLES) grants.inc({ role }, 0);
  return {
    /** One finished request; `code` where it was refused. */
    observeRequest: (of: {
      operation: string;
      status: number;
      seconds: number;
      code?: ErrorCode | undefined;
    }) => {
      requests.inc({ operation: of.operation, status: of.status });
      seconds.observe({ operation: of.operation }, of.seconds);
      if (of.code === undefined) return;
      refusals.inc({ code: of.code });
      if (isShed(of.code)) rejected.inc({ reason: of.code });
    },
    changeInflight: (by: 1 | -1) => inflight.inc(by),
    rejectConnection: (reason: 'CONNECTIONS' | 'ADDRESS_CONNECTIONS') => rejected.inc({ reason }),
    countAuthnFailure: (reason: string) => failures.inc({ reason }),
    countGrants: (roles: readonly string[]) => {
      for (const role of PRIVILEGED_ROLES) if (roles.includes(role)) grants.inc({ role });
    },
  };
}
