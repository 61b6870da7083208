import { setTimeout as delay } from 'node:timers/promises';
import { sealOf, type AuditLeaf, type SealFacts } from '../../domain/audit/chain.js';

/** What the sealer asks for. */
export interface SealerDeps {
  /** Tenants that have open leaves. */
  tenantsToSeal: () => Promise<string[]>;
  openLeaves: (tenant: string, limit: number) => Promise<AuditLeaf[]>;
  /** Writes one entry with the root and marks the leaves; false where another process is at it. */
  seal: (tenant: string, facts: SealFacts, leafIds: string[]) => Promise<boolean>;
  log: { warn: (facts: object, message: string) => void };
  /** Time between two sweeps; 1,000 unless named. */
  intervalMs?: number;
}

/** Leaves under one root. */
const BATCH = 1_000;

/** Seals what is open of one tenant, a root per batch. */
async function sealTenant(deps: SealerDeps, tenant: string, signal: AbortSignal): Promise<void> {
  for (;;) {
    const leaves = await deps.openLeaves(tenant, BATCH);
    if (leaves.length === 0 || signal.aborted) return;
    const sealed = await deps.seal(
      tenant,
      sealOf(leaves),
      leaves.map(({ leafId }) => leafId),
    );
    if (!sealed || leaves.length < BATCH) return;
  }
}

/**
 * Puts one Merkle root per tenant and second into the chains, over the leaves that no entry seals yet; those that a
 * crash left open are sealed by the next sweep. Any number of processes may run it.
 */
export function createSealerLoop(deps: SealerDeps): {
  run: (signal: AbortSignal) => Promise<void>;
  healthy: () => boolean;
} {
  let failed = false;
  const sweep = async (signal: AbortSignal): Promise<void> => {
    for (const tenant of await deps.tenantsToSeal()) await sealTenant(deps, tenant, signal);
  };
  return {
    healthy: () => !failed,
    run: async (signal) => {
      while (!signal.aborted) {
        try {
          await sweep(signal);
          failed = false;
        } catch (error) {
          failed = true;
          deps.log.warn({ reason: String(error) }, 'audit sealer: left for the next sweep');
        }
        await delay(deps.intervalMs ?? 1_000, undefined, { signal }).catch(() => undefined);
      }
    },
  };
}
