/**
 * What a request is worth when there is more of it than can be done. Shed in this order: `batch`, `durable`, `interactive`;
 * `control` never by the adaptive limit, it has a reserve of its own, so that a kill switch works under a flood.
 */
export const admissionClasses = ['control', 'interactive', 'durable', 'batch'] as const;
export type AdmissionClass = (typeof admissionClasses)[number];

/** Of a request that asks to be let in: its body is here (or it has none), is on its way, or is a file that is read as it comes. */
export type RequestBody = 'here' | 'coming' | 'upload';

/** Classes that share the adaptive limit. */
export type SharedClass = Exclude<AdmissionClass, 'control'>;

/**
 * Why a request was not taken. The first four are the caller's limit (429), the others ours (503): `address`, `key`, `tenant`
 * requests a minute; `failures` of authentication; `concurrency` the adaptive limit; `control` the places of the control plane;
 * `streams` those of bodies on their way; `backlog` a start that would miss its deadline.
 */
export const refusalReasons = [
  'address',
  'key',
  'tenant',
  'failures',
  'concurrency',
  'control',
  'streams',
  'backlog',
] as const;
export type RefusalReason = (typeof refusalReasons)[number];

/** Whose requests are counted. */
export type RateScope = 'address' | 'key' | 'tenant';

/** Whose failures to prove who they are are counted. */
export type FailureScope = 'address' | 'key';

/** What one limit says to one request. Times are milliseconds from now. */
export type RateVerdict =
  | { allowed: true }
  | {
      allowed: false;
      /** Of a window, over all processes. */
      limit: number;
      windowMs: number;
      /** Until it is worth asking again. */
      waitMs: number;
    };

/** A refusal before any work: whose limit, and when to come back. */
export interface AdmissionRefusal {
  reason: RefusalReason;
  class: AdmissionClass;
  /** 0 where the limit is not one of a number. */
  limit: number;
  /** Absent where the limit is of requests at a time. */
  windowMs?: number | undefined;
  waitMs: number;
}

/** Port: requests and failures, counted over all processes. */
export interface RateCounts {
  /**
   * One request of somebody. From memory where a lease is left, hence no promise then. Calls of the control plane have counts
   * of their own.
   */
  take: (of: {
    scope: RateScope;
    id: string;
    control: boolean;
  }) => RateVerdict | Promise<RateVerdict>;
  /** Counts one failure; the verdict says whether whoever failed has failed too often. */
  fail: (of: { scope: FailureScope; id: string }) => Promise<RateVerdict>;
  /** What this process knows of somebody's failures, without counting. */
  standing: (of: { scope: FailureScope; id: string }) => RateVerdict;
}
