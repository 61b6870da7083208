import { setTimeout as pause } from 'node:timers/promises';
import { PlatformError } from '../../domain/errors.js';
import type { Embedder } from '../../domain/etl/embedder.js';
import type { EtlDeps } from './etl-deps.js';

/** A worker that would wait longer for one slice gives its place to others; Temporal tries again when it is there. */
const PATIENCE_MS = 20_000;

/**
 * Waits until the bucket that all workers share has given `tokens`, in slices of at most one second each. Embedders without
 * a rate pass at once.
 * @throws EMBEDDER_RATE_LIMITED with `retryAfterMs` where the next slice is more than 20 s away
 */
export async function leaseRate(
  { embeddings }: Pick<EtlDeps, 'embeddings'>,
  of: { tenant: string; embedder: Pick<Embedder, 'embedFp' | 'rate'>; signal: AbortSignal },
  tokens: number,
): Promise<void> {
  const { tenant, embedder, signal } = of;
  const { rate, embedFp } = embedder;
  if (rate === undefined) return;
  for (let open = tokens; open > 0;) {
    const bucket = { perSecond: rate.perSecond, burst: rate.burst, want: open };
    const { granted, retryAfterMs } = await embeddings.leaseTokens(tenant, embedFp, bucket);
    open -= granted;
    if (open <= 0) return;
    const waitMs = Math.max(granted > 0 ? 0 : 10, retryAfterMs);
    if (waitMs > PATIENCE_MS)
      throw new PlatformError('EMBEDDER_RATE_LIMITED', 'The rate of this embedder is used up.', {
        extensions: { retryAfterMs },
      });
    await pause(waitMs, undefined, { signal });
  }
}
