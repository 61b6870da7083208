/** Largest share of a limit that one process takes at once, in basis points. */
const SLICE_BP = 500;

/** Requests that a process leases at once: at most 5 % of the limit, and one at least. */
export const sliceOf = (limit: number): number =>
  Math.max(1, Math.floor((limit * SLICE_BP) / 10_000));

/**
 * What a lease of `asked` is worth after it was counted: all of it below the limit, nothing beyond, and to the one that
 * crosses it what was left. Over all processes exactly `limit` are given, never more.
 * @param counted what all processes together have asked for in this window, this lease included
 */
export const grantedOf = (of: { limit: number; asked: number; counted: number }): number =>
  Math.max(0, Math.min(of.asked, of.limit - (of.counted - of.asked)));

/** What one process may give while the store cannot be asked: its part of the limit, one at least. */
export const insuredLimit = (limit: number, replicas: number): number =>
  Math.max(1, Math.floor(limit / replicas));

/**
 * How long an address or a key id that failed too often is refused: the window, doubled with each time within an hour that it
 * came to this, 15 minutes at most.
 * @param strikes how often, this time included; ≥ 1
 */
export const blockMs = (windowMs: number, strikes: number): number =>
  Math.min(windowMs * 2 ** Math.min(strikes - 1, 10), 900_000);

/** Of the limits, what calls of the control plane have for themselves, so that a flood of others leaves them theirs. */
export const controlLimit = (limit: number): number => Math.max(60, Math.floor(limit / 10));

/**
 * Seconds of `Retry-After`: never before the limit is open again, spread over a fifth of the time and at least a second, so
 * that those who were refused together do not come back together.
 * @param random in [0, 1)
 */
export const retryAfterSeconds = (waitMs: number, random: number): number =>
  Math.max(1, Math.ceil((waitMs / 1_000) * (1 + random / 5) + random));
