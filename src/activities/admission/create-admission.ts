import { addressGroup } from '../../domain/admission/address-group.js';
import type {
  AdmissionClass,
  AdmissionRefusal,
  RateCounts,
  RateVerdict,
  RefusalReason,
} from '../../domain/admission/contract.js';
import {
  createConcurrency,
  type ConcurrencySettings,
  type Entrant,
  type Permit,
} from './create-concurrency.js';

/** What admission asks for. */
export interface AdmissionDeps extends RateCounts, ConcurrencySettings {
  /** Told of every refusal. */
  refused: (of: { class: AdmissionClass; reason: RefusalReason }) => void;
}

/** Who asks for what, as soon as it is known. */
export interface Arrival {
  /** As the socket names it. */
  address: string;
  class: AdmissionClass;
}

/**
 * The permits of one process (reliability.md §7): first of an address, before anybody looks at who asks; then of key and tenant,
 * and a place among the requests at work. Each answers at once from memory, but for the fetch of a lease.
 */
export function createAdmission(deps: AdmissionDeps) {
  const refuse = (refusal: AdmissionRefusal): AdmissionRefusal => {
    deps.refused(refusal);
    return refusal;
  };
  const places = createConcurrency(deps, refuse);
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
      return places.enter(of);
    },
    state: places.state,
    /** A window is over: what the process has felt in it. */
    tick: places.tick,
  };
}
export type Admission = ReturnType<typeof createAdmission>;
