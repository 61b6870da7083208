import { createHash, randomUUID } from 'node:crypto';
import type {
  FailureScope,
  RateCounts,
  RateScope,
  RateVerdict,
} from '../../domain/admission/contract.js';
import {
  blockMs,
  controlLimit,
  grantedOf,
  insuredLimit,
  sliceOf,
} from '../../domain/admission/rate-limit.js';
import { openCountedStore, type CountedStore } from './open-counted-store.js';
import { createLeaseBook, type Lease } from './create-lease-book.js';

/** Requests a minute, and failures; 0 turns a limit off. */
interface RateSettings {
  limits: Record<RateScope, number>;
  /** Failures to prove who one is, of an address and of a key id. */
  failures: number;
  /** Processes that share the limits while the store does not answer. */
  replicas: number;
}

/** How the limits are kept. */
export interface RateLimitOptions extends RateSettings {
  /** Postgres as `anneal_api`. */
  url: string;
  /** The length of a window (60,000). */
  windowMs?: number;
  patienceMs?: number;
  onDown: (reason: string) => void;
  /** Told where a lease came from. */
  onLease?: (source: 'store' | 'insurance') => void;
}

/** The counts, opened. */
export interface RateLimits extends RateCounts {
  /** @throws Error where a limit does not deny */
  selfTest: () => Promise<void>;
  close: () => Promise<void>;
}

const WINDOW_MS = 60_000;
const STRIKE_WINDOW_MS = 3_600_000;
/** Blocks that are remembered here; the store remembers all. */
const MAX_BLOCKS = 50_000;
const allowed: RateVerdict = { allowed: true };

/** What a bucket is called in the store: nobody can be read from it. */
const keyOf = (name: string, id: string): string =>
  `${name}:${createHash('sha256').update(name).update('\0').update(id).digest('base64url')}`;

/** A lease of a limit: from the store, or from this process's part of it. */
function createLeasing(store: CountedStore, options: RateLimitOptions) {
  return async (of: { name: string; id: string; limit: number }): Promise<Lease> => {
    const asked = sliceOf(of.limit);
    const { points, leftMs, isShared } = await store.add({
      key: keyOf(of.name, of.id),
      points: asked,
      windowMs: options.windowMs ?? WINDOW_MS,
    });
    options.onLease?.(isShared ? 'store' : 'insurance');
    const limit = isShared ? of.limit : insuredLimit(of.limit, options.replicas);
    return {
      granted: grantedOf({ limit, asked, counted: points }),
      untilMs: Date.now() + leftMs,
    };
  };
}

/** Failures: counted one by one, and whoever has too many of them waits, twice as long each time within an hour. */
function createFailures(
  store: CountedStore,
  of: { limit: number; windowMs: number; replicas: number },
) {
  const blocks = new Map<string, number>();
  const refusal = (untilMs: number): RateVerdict => ({
    allowed: false,
    limit: of.limit,
    windowMs: of.windowMs,
    waitMs: Math.max(0, untilMs - Date.now()),
  });
  const standing = (key: string): RateVerdict => {
    const untilMs = blocks.get(key);
    if (untilMs === undefined) return allowed;
    if (untilMs > Date.now()) return refusal(untilMs);
    blocks.delete(key);
    return allowed;
  };
  const remember = (key: string, ms: number): RateVerdict => {
    const oldest = blocks.size >= MAX_BLOCKS ? blocks.keys().next().value : undefined;
    if (oldest !== undefined) blocks.delete(oldest);
    blocks.set(key, Date.now() + ms);
    return refusal(Date.now() + ms);
  };
  return {
    standing,
    fail: async (key: string): Promise<RateVerdict> => {
      const known = standing(key);
      if (!known.allowed) return known;
      const { points, leftMs, isShared } = await store.add({
        key,
        points: 1,
        windowMs: of.windowMs,
      });
      const limit = isShared ? of.limit : insuredLimit(of.limit, of.replicas);
      if (points <= limit) return allowed;
      // Whoever crosses the limit makes the block; the others meet it.
      if (points > limit + 1) return remember(key, leftMs);
      const strike = { key: `strike-${key}`, points: 1, windowMs: STRIKE_WINDOW_MS };
      const { points: strikes } = await store.add(strike);
      const ms = blockMs(of.windowMs, strikes);
      await store.block(key, ms);
      return remember(key, ms);
    },
  };
}

/**
 * Requests a minute over all processes. A process leases slices of at most 5 % from Postgres and spends them in memory, so that a
 * request costs no round trip and all together never exceed the limit. While the store does not answer each process gives
 * limit ÷ replicas, less what it has had from the store in the window. Source of the counting: `rate-limiter-flexible`.
 */
export function openRateLimits(options: RateLimitOptions): RateLimits {
  const { limits, failures, replicas, windowMs = WINDOW_MS } = options;
  const { url, patienceMs, onDown } = options;
  const opened = { url, onDown, ...(patienceMs === undefined ? {} : { patienceMs }) };
  const store = openCountedStore(opened);
  const book = createLeaseBook(Date.now);
  const leased = createLeasing(store, options);
  const failing = createFailures(store, { limit: failures, windowMs, replicas });
  const take = (of: { name: string; id: string; limit: number }) => {
    const verdictOf = (waitMs: number): RateVerdict =>
      waitMs === 0 ? allowed : { allowed: false, limit: of.limit, windowMs, waitMs };
    const waitMs = book.take(`${of.name}\0${of.id}`, () => leased(of));
    return typeof waitMs === 'number' ? verdictOf(waitMs) : waitMs.then(verdictOf);
  };
  const failureKey = (of: { scope: FailureScope; id: string }) => keyOf(`fail-${of.scope}`, of.id);
  return {
    take: ({ scope, id, control }) => {
      const limit = limits[scope];
      if (limit === 0) return allowed;
      return control
        ? take({ name: `${scope}-control`, id, limit: controlLimit(limit) })
        : take({ name: scope, id, limit });
    },
    fail: async (of) => (failures === 0 ? allowed : failing.fail(failureKey(of))),
    standing: (of) => (failures === 0 ? allowed : failing.standing(failureKey(of))),
    selfTest: async () => {
      const probe = { name: 'self-test', id: randomUUID(), limit: 2 * replicas };
      let given = 0;
      while (given <= probe.limit && (await take(probe)).allowed) given += 1;
      if (given === 0 || given > probe.limit)
        throw new Error(`the rate limit let ${given} of ${probe.limit} requests through`);
    },
    close: store.close,
  };
}
