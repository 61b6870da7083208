import { setTimeout as delay } from 'node:timers/promises';
import type { ScheduledWork } from '../../domain/etl/due-work.js';
import type { SourceFacts } from '../../domain/etl/ledger.js';
import type { LedgerShards } from '../../domain/etl/ledger-shards.js';
import { createFolderHints, type HintDeps } from './folder-hints.js';

/** What the folder watch asks for. */
export interface FolderWatchDeps extends HintDeps {
  tenants: () => Promise<string[]>;
  scheduledWork: (tenant: string) => Promise<ScheduledWork[]>;
  findSource: (tenant: string, sourceId: string) => Promise<SourceFacts | undefined>;
  /** One process watches a source at a time; the lease is named by the source where stores name a generation. */
  shards: LedgerShards;
  /**
   * Watches a folder and everything below until the signal aborts; calls `ready` once it does. `path` is undefined
   * where the system does not say what changed. Rejects where the folder cannot be watched.
   */
  watch: (
    source: SourceFacts,
    handlers: { ready: () => void; changed: (path: string | undefined) => void },
    signal: AbortSignal,
  ) => Promise<void>;
  processId: string;
  /** Milliseconds between looks at the rows (5,000), and the length of a lease (20,000). */
  intervals?: { rowsMs: number; leaseMs: number } | undefined;
}

interface Named {
  tenant: string;
  sourceId: string;
}

/** Renews a lease until it is lost or the signal aborts. */
async function keepLease(
  deps: FolderWatchDeps,
  of: Named & { epoch: bigint; leaseMs: number },
  signal: AbortSignal,
): Promise<void> {
  const { tenant, sourceId: generationId, epoch, leaseMs } = of;
  let heldUntilMs = performance.now() + leaseMs;
  while (!signal.aborted && performance.now() < heldUntilMs) {
    await delay(leaseMs / 4, undefined, { signal }).catch(() => undefined);
    if (signal.aborted) return;
    const askedAtMs = performance.now();
    const renewed = await deps.shards
      .renewShard(tenant, { generationId, shard: 0, epoch, leaseMs })
      .catch(() => undefined);
    if (renewed === false) return;
    if (renewed === true) heldUntilMs = askedAtMs + leaseMs;
  }
}

/** Watches one source for as long as this process holds its lease. */
async function watchOne(
  deps: FolderWatchDeps,
  of: Named & { leaseMs: number },
  signal: AbortSignal,
): Promise<void> {
  const { tenant, sourceId, leaseMs } = of;
  const source = await deps.findSource(tenant, sourceId);
  if (source?.kind !== 'folder') return;
  const lease = { generationId: sourceId, shard: 0 };
  const owner = deps.processId;
  const held = await deps.shards.acquireShard(tenant, { ...lease, owner, leaseMs });
  if (held === undefined) return;
  const { epoch } = held;
  const inner = new AbortController();
  const stop = (): void => inner.abort();
  signal.addEventListener('abort', stop, { once: true });
  if (signal.aborted) stop();
  const hints = createFolderHints(deps, { tenant, source }, inner.signal);
  const acting = hints.run();
  try {
    const changed = (path: string | undefined): void =>
      path === undefined ? hints.unclear() : hints.changed(path);
    // Subscribed first, then listed: what changed while nobody watched is found now.
    const watching = deps.watch(source, { ready: hints.unclear, changed }, inner.signal);
    await Promise.race([
      watching,
      keepLease(deps, { tenant, sourceId, epoch, leaseMs }, inner.signal),
    ]);
  } finally {
    stop();
    signal.removeEventListener('abort', stop);
    await acting;
    await deps.shards.releaseShard(tenant, { ...lease, epoch }).catch(() => undefined);
  }
}

/**
 * Watches the folders that are scanned by themselves, so that a change is seen in a moment. It is a hint and no more: the
 * scan by the clock is the truth, and misses nothing that this loop misses.
 */
export function createFolderWatchLoop(deps: FolderWatchDeps) {
  const { rowsMs, leaseMs } = deps.intervals ?? { rowsMs: 5_000, leaseMs: 20_000 };
  const watched = new Map<string, { stop: AbortController; ended: Promise<void> }>();
  let doneAtMs = performance.now();

  const begin = ({ tenant, id: sourceId }: ScheduledWork, key: string): void => {
    const stop = new AbortController();
    const ended = watchOne(deps, { tenant, sourceId, leaseMs }, stop.signal)
      .catch((error: unknown) =>
        deps.log.warn({ sourceId, reason: String(error) }, 'etl: a folder is not watched'),
      )
      .finally(() => {
        if (watched.get(key)?.stop === stop) watched.delete(key);
      });
    watched.set(key, { stop, ended });
  };
  const look = async (): Promise<void> => {
    const wanted = new Map<string, ScheduledWork>();
    for (const tenant of await deps.tenants())
      for (const due of await deps.scheduledWork(tenant))
        if (due.work === 'scan') wanted.set(`${tenant}/${due.id}`, due);
    for (const [key, { stop }] of watched) if (!wanted.has(key)) stop.abort();
    for (const [key, due] of wanted) if (!watched.has(key)) begin(due, key);
    doneAtMs = performance.now();
  };
  return {
    healthy: (): boolean => performance.now() - doneAtMs < Math.max(60_000, rowsMs * 6),
    run: async (signal: AbortSignal): Promise<void> => {
      while (!signal.aborted) {
        try {
          await look();
        } catch (error) {
          deps.log.warn({ reason: String(error) }, 'etl: folders to watch cannot be read');
        }
        await delay(rowsMs, undefined, { signal }).catch(() => undefined);
      }
      const last = [...watched.values()];
      for (const { stop } of last) stop.abort();
      await Promise.all(last.map(({ ended }) => ended));
    },
  };
}
