/** What a lease was worth. */
export interface Lease {
  /** Requests that may be let through; 0 where the limit is spent. */
  granted: number;
  /** When the window ends and the lease with it, ms since the epoch. */
  untilMs: number;
}

/** A bucket of one process: what is left of its leases in the window. */
interface Bucket {
  left: number;
  untilMs: number;
  isSpent: boolean;
  asking: Promise<void> | undefined;
}

/** Buckets that are remembered; of more the oldest is forgotten, and what it had left is lost. */
const MAX_BUCKETS = 50_000;

/**
 * Leases that this process spends in memory. Requests that come together share one fetch, a spent limit is remembered until
 * its window ends, and what is left at that moment is dropped, so that no window gets more than its own.
 */
export function createLeaseBook(nowMs: () => number) {
  const buckets = new Map<string, Bucket>();
  const bucketOf = (key: string): Bucket => {
    const found = buckets.get(key);
    if (found !== undefined) return found;
    const oldest = buckets.size >= MAX_BUCKETS ? buckets.keys().next().value : undefined;
    if (oldest !== undefined) buckets.delete(oldest);
    const made = { left: 0, untilMs: 0, isSpent: false, asking: undefined };
    buckets.set(key, made);
    return made;
  };
  /** What the bucket says by itself: ms to wait, 0 for a request that is let through; undefined: ask for a lease. */
  const spend = (bucket: Bucket): number | undefined => {
    const now = nowMs();
    if (bucket.untilMs <= now) {
      bucket.left = 0;
      bucket.isSpent = false;
      return undefined;
    }
    if (bucket.left > 0) {
      bucket.left -= 1;
      return 0;
    }
    return bucket.isSpent ? bucket.untilMs - now : undefined;
  };
  const fetched = (bucket: Bucket, lease: () => Promise<Lease>): Promise<void> =>
    (bucket.asking ??= lease()
      .then(({ granted, untilMs }) => {
        bucket.left = granted;
        bucket.untilMs = untilMs;
        bucket.isSpent = granted === 0;
      })
      .finally(() => {
        bucket.asking = undefined;
      }));
  return {
    /** Ms until the next window where there is nothing left of this one, 0 for a request that is let through. */
    take: (key: string, lease: () => Promise<Lease>): number | Promise<number> => {
      const bucket = bucketOf(key);
      const known = spend(bucket);
      if (known !== undefined) return known;
      return (async () => {
        for (;;) {
          await fetched(bucket, lease);
          const waitMs = spend(bucket);
          if (waitMs !== undefined) return waitMs;
        }
      })();
    },
  };
}
