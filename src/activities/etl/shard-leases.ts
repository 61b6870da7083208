import { PlatformError } from '../../domain/errors.js';
import type { VectorSink } from '../../domain/etl/vector-sink.js';
import type { EtlDeps } from './etl-deps.js';

/** What a process that dies over a write costs the next one. */
const LEASE_MS = 15_000;
/** Parts of the lease. A write that takes longer than the lease keeps it all the same. */
const RENEW_EVERY = 4 / 15;
const RENEW_BELOW = 8 / 15;
const PATIENCE_MS = 20_000;
const ASK_EVERY_MS = 200;

interface Held {
  epoch: bigint;
  untilMs: number;
  users: number;
  renewing?: NodeJS.Timeout | undefined;
}

/** Gives `work` the epoch to write a generation with; undefined for stores that many may write to. */
export type WithEpoch = <T>(
  of: { tenant: string; generationId: string; sink: VectorSink; signal: AbortSignal },
  work: (epoch: () => Promise<bigint | undefined>) => Promise<T>,
) => Promise<T>;

/** The leases of one process. */
export interface ShardLeases {
  withEpoch: WithEpoch;
}

const pause = (ms: number, signal: AbortSignal): Promise<void> =>
  new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(signal.reason as Error);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', stop);
      resolve();
    }, ms);
    signal.addEventListener('abort', stop, { once: true });
  });

type LeaseDeps = Pick<EtlDeps, 'shards' | 'processId' | 'leaseMs'>;

/**
 * The leases of this process. Steps that write the same generation share one, because the store orders the writes of a
 * process itself; the last one to end gives it back. While work is under way the lease is renewed, however long a single
 * write takes; a process that stops for longer loses it, and its epoch is refused. Ask for the epoch before every write.
 */
export function createShardLeases(of: LeaseDeps): ShardLeases {
  const { shards, processId, leaseMs = LEASE_MS } = of;
  const held = new Map<string, Held>();
  const asking = new Map<string, Promise<Held>>();

  async function acquire(tenant: string, generationId: string, signal: AbortSignal): Promise<Held> {
    const deadline = performance.now() + PATIENCE_MS;
    const wanted = { generationId, shard: 0, owner: processId, leaseMs };
    for (;;) {
      const askedMs = performance.now();
      const lease = await shards.acquireShard(tenant, wanted);
      if (lease) return { epoch: lease.epoch, untilMs: askedMs + leaseMs, users: 0 };
      if (performance.now() > deadline)
        throw new PlatformError('SINK_UNAVAILABLE', 'Another process writes this generation.');
      await pause(ASK_EVERY_MS, signal);
    }
  }

  /** One request at a time per generation: two would fence each other. */
  function once(key: string, ask: () => Promise<Held>): Promise<Held> {
    const running = asking.get(key);
    if (running) return running;
    const asked = ask().finally(() => asking.delete(key));
    asking.set(key, asked);
    return asked;
  }

  /** @returns false where another process has it now */
  async function renew(tenant: string, generationId: string, lease: Held): Promise<boolean> {
    const askedMs = performance.now();
    const { epoch } = lease;
    const wanted = { generationId, shard: 0, epoch, leaseMs };
    if (!(await shards.renewShard(tenant, wanted))) return false;
    lease.untilMs = askedMs + leaseMs;
    return true;
  }

  const withEpoch: WithEpoch = async ({ tenant, generationId, sink, signal }, work) => {
    if (sink.caps.writers === 'many') return work(async () => undefined);
    const key = `${tenant}/${generationId}`;
    const take = async (): Promise<Held> => {
      const now = held.get(key);
      if (now && now.untilMs - performance.now() > leaseMs * RENEW_BELOW) return now;
      return once(key, async () => {
        const before = held.get(key);
        if (before && (await renew(tenant, generationId, before))) return before;
        const next = await acquire(tenant, generationId, signal);
        next.users = before?.users ?? 0;
        clearInterval(before?.renewing);
        // One that cannot be renewed now is asked for again before the next write.
        const again = () => void renew(tenant, generationId, next).catch(() => undefined);
        next.renewing = setInterval(again, leaseMs * RENEW_EVERY);
        held.set(key, next);
        return next;
      });
    };
    (await take()).users += 1;
    try {
      return await work(async () => (await take()).epoch);
    } finally {
      const lease = held.get(key);
      if (lease) {
        lease.users -= 1;
        if (lease.users <= 0) {
          held.delete(key);
          clearInterval(lease.renewing);
          const { epoch } = lease;
          // A lease that cannot be given back ends by itself.
          await shards
            .releaseShard(tenant, { generationId, shard: 0, epoch })
            .catch(() => undefined);
        }
      }
    }
  };
  return { withEpoch };
}
