import { setTimeout as delay } from 'node:timers/promises';
import type { ChainHead, Checkpoint } from '../../domain/audit/chain.js';

/** What the checkpoint loop asks for. */
export interface CheckpointDeps {
  /** Where every chain ends. */
  heads: () => Promise<({ tenant: string } & ChainHead)[]>;
  /** The hash of one link; undefined where it is gone. */
  hashAt: (tenant: string, seq: number) => Promise<Uint8Array | undefined>;
  readCheckpoints: () => Promise<Checkpoint[]>;
  /** Durable when it resolves. */
  appendCheckpoints: (checkpoints: Checkpoint[]) => Promise<void>;
  /** Which installation writes. */
  origin: string;
  nowMs: () => number;
  log: { error: (facts: object, message: string) => void };
  /** How often the heads are looked at, and how long a chain may go without a checkpoint; 1,000 and 60,000. */
  intervalMs?: number;
  maxAgeMs?: number;
  /** Entries after which a checkpoint is due at once; 1,000. */
  maxEntries?: number;
}

interface Witnessed {
  size: number;
  headHash: string;
  atMs: number;
}

const hex = (bytes: Uint8Array | undefined): string =>
  bytes === undefined ? '' : Buffer.from(bytes).toString('hex');

/** A background loop that witnesses chains, and says how far it is behind. */
export interface CheckpointLoop {
  run: (signal: AbortSignal) => Promise<void>;
  /** False while the sink fails, or a chain contradicts its last checkpoint. */
  healthy: () => boolean;
  /** Milliseconds since the last sweep after which every due checkpoint was on the disk. */
  lagMs: () => number;
  /** Chains that contradict their last checkpoint. */
  brokenChains: () => number;
}

/** The last checkpoint of each tenant. */
async function lastWitnessed(deps: CheckpointDeps): Promise<Map<string, Witnessed>> {
  const last = new Map<string, Witnessed>();
  for (const { tenant, size, headHash, at } of await deps.readCheckpoints()) {
    last.set(tenant, { size, headHash, atMs: Date.parse(at) });
  }
  return last;
}

/** True where the chain still contains what was last witnessed of it. */
async function extendsWitness(
  deps: CheckpointDeps,
  head: { tenant: string } & ChainHead,
  last: Witnessed | undefined,
): Promise<boolean> {
  if (last === undefined) return true;
  if (head.seq < last.size) return false;
  return hex(await deps.hashAt(head.tenant, last.size)) === last.headHash;
}

async function sweep(deps: CheckpointDeps, last: Map<string, Witnessed>): Promise<string[]> {
  const broken: string[] = [];
  const fresh: Checkpoint[] = [];
  const now = deps.nowMs();
  for (const head of await deps.heads()) {
    const known = last.get(head.tenant);
    const grown = head.seq - (known?.size ?? 0);
    const old = now - (known?.atMs ?? 0) >= (deps.maxAgeMs ?? 60_000);
    const rewritten = grown === 0 && known !== undefined && hex(head.hash) !== known.headHash;
    const due = grown < 0 || rewritten || grown >= (deps.maxEntries ?? 1_000) || (grown > 0 && old);
    if (!due) continue;
    // A chain that contradicts its witness gets no new one: the fault must stay visible.
    if (!(await extendsWitness(deps, head, known))) {
      broken.push(head.tenant);
      continue;
    }
    fresh.push({
      origin: deps.origin,
      tenant: head.tenant,
      size: head.seq,
      headHash: hex(head.hash),
      at: new Date(now).toISOString(),
    });
  }
  if (fresh.length > 0) await deps.appendCheckpoints(fresh);
  for (const { tenant, size, headHash } of fresh) last.set(tenant, { size, headHash, atMs: now });
  return broken;
}

/** Appends a checkpoint per chain every minute or thousand entries, where it has grown. */
export function createCheckpointLoop(deps: CheckpointDeps): CheckpointLoop {
  let doneAtMs = deps.nowMs();
  let failed = false;
  let reported = '';
  let brokenChains = 0;
  const report = (broken: string[]) => {
    const names = broken.join(', ');
    if (names !== reported && broken.length > 0) {
      deps.log.error(
        { tenants: broken },
        'audit: chains contradict their checkpoints; verify them',
      );
    }
    reported = names;
    brokenChains = broken.length;
  };
  return {
    healthy: () => !failed && reported === '',
    lagMs: () => deps.nowMs() - doneAtMs,
    brokenChains: () => brokenChains,
    run: async (signal) => {
      let last: Map<string, Witnessed> | undefined;
      while (!signal.aborted) {
        try {
          last ??= await lastWitnessed(deps);
          report(await sweep(deps, last));
          failed = false;
          doneAtMs = deps.nowMs();
        } catch (error) {
          failed = true;
          deps.log.error({ reason: String(error) }, 'audit: checkpoints cannot be written');
        }
        await delay(deps.intervalMs ?? 1_000, undefined, { signal }).catch(() => undefined);
      }
    },
  };
}
