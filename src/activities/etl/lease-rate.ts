import { setTimeout as pause } from 'node:timers/promises';
import { PlatformError } from '../../domain/errors.js';
import type { Embedder } from '../../domain/etl/embedder.js';
import type { EtlDeps } from './etl-deps.js';

/** A worker that would wait longer for one slice gives its place to others; Temporal tries again when it is there. */
const PATIENCE_MS = 20_000;

/** An estimate of the tokens of a text that errs on the high side for prose; the embedder counts for itself. */
export const tokenBound = (text: string): number => Math.ceil(text.length / 2);

/** Who takes tokens. `deadlineMs`: how long all waits together may be; undefined: as long as no single one is too long. */
export interface RateLease {
  tenant: string;
  embedder: Pick<Embedder, 'embedFp' | 'rate'>;
  signal: AbortSignal;
  deadlineMs?: number | undefined;
}

/**
 * Waits until the bucket that all workers share has given `tokens`, in slices of at most one second each. Embedders without
 * a rate pass at once.
 * @throws EMBEDDER_RATE_LIMITED with `retryAfterMs` where the next slice is more than 20 s away, or beyond the deadline
 */
export async function leaseRate(
  { embeddings }: Pick<EtlDeps, 'embeddings'>,
  { tenant, embedder, signal, deadlineMs = Infinity }: RateLease,
  tokens: number,
): Promise<void> {
  const { rate, embedFp } = embedder;
  if (rate === undefined) return;
  let waitedMs = 0;
  for (let open = tokens; open > 0;) {
    const bucket = { perSecond: rate.perSecond, burst: rate.burst, want: open };
    const { granted, retryAfterMs } = await embeddings.leaseTokens(tenant, embedFp, bucket);
    open -= granted;
    if (open <= 0) return;
    const waitMs = Math.max(granted > 0 ? 0 : 10, retryAfterMs);
    waitedMs += waitMs;
    if (waitMs > PATIENCE_MS || waitedMs > deadlineMs)
      throw new PlatformError('EMBEDDER_RATE_LIMITED', 'The rate of this embedder is used up.', {
        extensions: { retryAfterMs },
      });
    await pause(waitMs, undefined, { signal });
  }
}
