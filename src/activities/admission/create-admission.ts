import { addressGroup } from '../../domain/admission/address-group.js';
import {
  initialLimit,
  nextLimit,
  type AdaptiveLimitSettings,
} from '../../domain/admission/adaptive-limit.js';
import { isShed, type ClassShares } from '../../domain/admission/class-of-request.js';
import type {
  AdmissionClass,
  AdmissionRefusal,
  RateCounts,
  RateVerdict,
  RefusalReason,
} from '../../domain/admission/contract.js';

/** What admission asks for. */
export interface AdmissionDeps extends RateCounts {
  limit: AdaptiveLimitSettings;
  shares: ClassShares;
  /** Calls of the control plane at once, at most. */
  controlCount: number;
  /** Uploads at once, at most. */
  streamCount: number;
  /** Milliseconds of a clock that only goes forward. */
  monotonicMs: () => number;
  /** Told of every refusal. */
  refused: (of: { class: AdmissionClass; reason: RefusalReason }) => void;
}

/** The right to be worked on. */
export interface Permit {
  /**
   * Gives it back, once; more is ignored.
   * @param measured false for what took as long as somebody else wanted it to
   */
  release: (measured: boolean) => void;
}

/** What is at work. */
interface AdmissionState {
  limit: number;
  inFlight: Record<AdmissionClass, number>;
  /** Uploads: their bodies take as long as the caller likes, so that they fill no limit of the others. */
  streams: number;
}

/** How long somebody waits who was shed: a window of the adaptive limit changes little. */
const SHED_WAIT_MS = 1_000;

/** Requests at work of one process, and the limit that follows them. */
function createConcurrency(deps: AdmissionDeps) {
  let adaptive = initialLimit(deps.limit);
  const inFlight: Record<AdmissionClass, number> = {
    control: 0,
    interactive: 0,
    durable: 0,
    batch: 0,
  };
  let streams = 0;
  let peakInFlight = 0;
  let latencies: Record<string, { count: number; totalMs: number }> = {};
  const shared = (): number => inFlight.interactive + inFlight.durable + inFlight.batch;
  const full = (of: { class: AdmissionClass; upload: boolean }) => {
    const { controlCount, streamCount, shares } = deps;
    if (of.class === 'control')
      return inFlight.control >= controlCount
        ? { reason: 'control' as const, limit: controlCount }
        : undefined;
    const limit = Math.floor(adaptive.limit);
    if (of.upload && streams >= streamCount)
      return { reason: 'streams' as const, limit: streamCount };
    const shed = isShed({ class: of.class, inFlight: shared(), limit, shares });
    return shed ? { reason: 'concurrency' as const, limit } : undefined;
  };
  const note = (operation: string, ms: number): void => {
    const held = (latencies[operation] ??= { count: 0, totalMs: 0 });
    held.count += 1;
    held.totalMs += ms;
  };
  const enter = (of: { class: AdmissionClass; upload: boolean; operation: string }): Permit => {
    const since = deps.monotonicMs();
    if (of.upload) streams += 1;
    else inFlight[of.class] += 1;
    peakInFlight = Math.max(peakInFlight, shared());
    let isHeld = true;
    return {
      release: (measured) => {
        if (!isHeld) return;
        isHeld = false;
        if (of.upload) streams -= 1;
        else inFlight[of.class] -= 1;
        // Control calls count in no limit, and teach it nothing.
        if (measured && !of.upload && of.class !== 'control')
          note(of.operation, deps.monotonicMs() - since);
      },
    };
  };
  return {
    full,
    enter,
    state: (): AdmissionState => ({
      limit: Math.floor(adaptive.limit),
      inFlight: { ...inFlight },
      streams,
    }),
    tick: (load: { loopLagMs: number; poolWaitMs: number }): void => {
      adaptive = nextLimit(adaptive, { ...load, latencies, peakInFlight }, deps.limit);
      latencies = {};
      peakInFlight = shared();
    },
  };
}

/** Who asks for what, as soon as it is known. */
export interface Arrival {
  /** As the socket names it. */
  address: string;
  class: AdmissionClass;
}

/** Somebody who proved who they are. */
export interface Entrant {
  class: AdmissionClass;
  upload: boolean;
  operation: string;
  tenant: string;
  /** Whose requests count together: the key, or the source of a signed delivery. */
  key: string;
}

/**
 * The permits of one process (reliability.md §7): first of an address, before anybody looks at who asks; then of key and tenant,
 * and a place among the requests at work. Each answers at once from memory, but for the fetch of a lease.
 */
export function createAdmission(deps: AdmissionDeps) {
  const places = createConcurrency(deps);
  const refuse = (refusal: AdmissionRefusal): AdmissionRefusal => {
    deps.refused(refusal);
    return refusal;
  };
  const refusalOf = (
    verdict: RateVerdict,
    as: { reason: RefusalReason; class: AdmissionClass },
  ): AdmissionRefusal | undefined => {
    if (verdict.allowed) return undefined;
    const { limit, windowMs, waitMs } = verdict;
    return refuse({ ...as, limit, windowMs, waitMs });
  };
  return {
    /** The permit of an address; undefined where it is given. */
    arrive: async (of: Arrival): Promise<AdmissionRefusal | undefined> => {
      const id = addressGroup(of.address);
      const failed = deps.standing({ scope: 'address', id });
      if (!failed.allowed) return refusalOf(failed, { reason: 'failures', class: of.class });
      const verdict = await deps.take({ scope: 'address', id, control: of.class === 'control' });
      return refusalOf(verdict, { reason: 'address', class: of.class });
    },
    /**
     * Counts a proof that failed. A refusal where the key id that it named has seen too many: whoever fails again hears that
     * instead of why, and whoever has the key goes in all the same.
     */
    failed: async (
      of: Arrival & { keyId?: string | undefined },
    ): Promise<AdmissionRefusal | undefined> => {
      const address = deps.fail({ scope: 'address', id: addressGroup(of.address) });
      const key =
        of.keyId === undefined ? undefined : await deps.fail({ scope: 'key', id: of.keyId });
      await address;
      return key && refusalOf(key, { reason: 'failures', class: of.class });
    },
    /** The permit of a key, its tenant, and a place among those at work. */
    enter: async (of: Entrant): Promise<Permit | AdmissionRefusal> => {
      const control = of.class === 'control';
      for (const scope of ['key', 'tenant'] as const) {
        const verdict = deps.take({ scope, id: scope === 'key' ? of.key : of.tenant, control });
        const known = 'then' in verdict ? await verdict : verdict;
        const refusal = refusalOf(known, { reason: scope, class: of.class });
        if (refusal !== undefined) return refusal;
      }
      const full = places.full(of);
      if (full === undefined) return places.enter(of);
      return refuse({ ...full, class: of.class, waitMs: SHED_WAIT_MS });
    },
    state: places.state,
    /** A window is over: what the process has felt in it. */
    tick: places.tick,
  };
}
export type Admission = ReturnType<typeof createAdmission>;
