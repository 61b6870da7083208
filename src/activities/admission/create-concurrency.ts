import {
  initialLimit,
  nextLimit,
  type AdaptiveLimitSettings,
} from '../../domain/admission/adaptive-limit.js';
import { isShed, type ClassShares } from '../../domain/admission/class-of-request.js';
import type {
  AdmissionClass,
  AdmissionRefusal,
  RefusalReason,
  RequestBody,
} from '../../domain/admission/contract.js';
import { createPool } from './create-pool.js';

/** How much may be at work at once. */
export interface ConcurrencySettings {
  limit: AdaptiveLimitSettings;
  shares: ClassShares;
  /** Calls of the control plane at once, at most. */
  controlCount: number;
  /** Bodies on their way at once, uploads among them, at most; calls of the control plane have `controlCount` of their own. */
  streamCount: number;
  /** Milliseconds of a clock that only goes forward. */
  monotonicMs: () => number;
}

/** Somebody who proved who they are. */
export interface Entrant {
  class: AdmissionClass;
  body: RequestBody;
  operation: string;
  tenant: string;
  /** Whose requests count together: the key, or the source of a signed delivery. */
  key: string;
}

/** The right to be worked on. */
export interface Permit {
  /**
   * The last byte of the body has come: from here on it counts among the requests at work. More is ignored, and so is all of it
   * for an upload, whose body is read as it is worked on.
   * @returns a refusal where its class has become full since `enter`; the permit is over then
   */
  begin: () => AdmissionRefusal | undefined;
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
  /** Bodies on their way: they take as long as the caller likes, so that they fill no limit of the others. */
  streams: number;
}

/** A limit that is reached. */
interface Full {
  reason: RefusalReason;
  limit: number;
}

/** How long somebody waits who was shed: a window of the adaptive limit changes little. */
const SHED_WAIT_MS = 1_000;

/** The adaptive limit, and what it learns from. */
function createAdaptive(settings: AdaptiveLimitSettings) {
  let adaptive = initialLimit(settings);
  let peakInFlight = 0;
  let latencies: Record<string, { count: number; totalMs: number }> = {};
  return {
    limit: (): number => Math.floor(adaptive.limit),
    seen: (inFlight: number): void => void (peakInFlight = Math.max(peakInFlight, inFlight)),
    note: (operation: string, ms: number): void => {
      const held = (latencies[operation] ??= { count: 0, totalMs: 0 });
      held.count += 1;
      held.totalMs += ms;
    },
    tick: (load: { loopLagMs: number; poolWaitMs: number }, inFlight: number): void => {
      adaptive = nextLimit(adaptive, { ...load, latencies, peakInFlight }, settings);
      latencies = {};
      peakInFlight = inFlight;
    },
  };
}

/** The places of one process: of bodies on their way, and of requests at work. */
function createPlaces(settings: ConcurrencySettings) {
  const { controlCount, streamCount, shares } = settings;
  const adaptive = createAdaptive(settings.limit);
  const control = createPool(controlCount);
  const bodies = { control: createPool(controlCount), others: createPool(streamCount) };
  const working = { interactive: 0, durable: 0, batch: 0 };
  const shared = (): number => working.interactive + working.durable + working.batch;
  const bodiesOf = (of: Entrant) => (of.class === 'control' ? bodies.control : bodies.others);
  // At work one key may have all that its tenant may: how long that takes is ours.
  const change = (of: Entrant, by: 1 | -1): void => {
    if (of.class !== 'control') working[of.class] += by;
    else if (by === 1) control.take({ tenant: of.tenant });
    else control.giveBack({ tenant: of.tenant });
  };
  return {
    adaptive,
    bodiesOf,
    /** The limit that leaves no room to work on it. */
    workFull: (of: Entrant): Full | undefined => {
      if (of.class === 'control')
        return control.hasRoom({ tenant: of.tenant })
          ? undefined
          : { reason: 'control', limit: controlCount };
      const limit = adaptive.limit();
      const shed = isShed({ class: of.class, inFlight: shared(), limit, shares });
      return shed ? { reason: 'concurrency', limit } : undefined;
    },
    /** The limit that leaves no room for its body. */
    bodyFull: (of: Entrant): Full | undefined =>
      of.body === 'here' || bodiesOf(of).hasRoom(of)
        ? undefined
        : { reason: 'streams', limit: bodiesOf(of).size },
    start: (of: Entrant): void => {
      change(of, 1);
      adaptive.seen(shared());
    },
    end: (of: Entrant): void => change(of, -1),
    tick: (load: { loopLagMs: number; poolWaitMs: number }): void => adaptive.tick(load, shared()),
    state: (): AdmissionState => ({
      limit: adaptive.limit(),
      inFlight: { control: control.taken(), ...working },
      streams: bodies.control.taken() + bodies.others.taken(),
    }),
  };
}

/**
 * Requests at work of one process, and the limit that follows them. Whether one is taken is decided before its body is read;
 * until the body is there it has a place among the bodies alone, so that a caller who sends slowly fills no limit and teaches
 * it nothing. Of these places, and of those of the control plane, nobody gets so many that nothing is left for others.
 */
export function createConcurrency(
  settings: ConcurrencySettings,
  refuse: (refusal: AdmissionRefusal) => AdmissionRefusal,
) {
  const places = createPlaces(settings);
  const shed = (of: Entrant, full: Full): AdmissionRefusal =>
    refuse({ ...full, class: of.class, waitMs: SHED_WAIT_MS });
  const permitOf = (of: Entrant): Permit => {
    let phase: 'coming' | 'working' | 'over' = of.body === 'here' ? 'working' : 'coming';
    let since = settings.monotonicMs();
    return {
      begin: () => {
        if (phase !== 'coming' || of.body === 'upload') return undefined;
        places.bodiesOf(of).giveBack(of);
        const full = places.workFull(of);
        phase = full === undefined ? 'working' : 'over';
        if (full !== undefined) return shed(of, full);
        places.start(of);
        since = settings.monotonicMs();
        return undefined;
      },
      release: (measured) => {
        if (phase === 'coming') places.bodiesOf(of).giveBack(of);
        else if (phase === 'working') {
          places.end(of);
          // Control calls count in no limit, and teach it nothing.
          if (measured && of.class !== 'control')
            places.adaptive.note(of.operation, settings.monotonicMs() - since);
        }
        phase = 'over';
      },
    };
  };
  return {
    enter: (of: Entrant): Permit | AdmissionRefusal => {
      const full = places.workFull(of) ?? places.bodyFull(of);
      if (full !== undefined) return shed(of, full);
      if (of.body === 'here') places.start(of);
      else places.bodiesOf(of).take(of);
      return permitOf(of);
    },
    state: places.state,
    tick: places.tick,
  };
}
