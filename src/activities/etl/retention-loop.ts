import {
  retentionKinds,
  type RetentionKind,
  type RetentionLedger,
} from '../../domain/etl/retention.js';
import { HOUR_MS } from '../../domain/units.js';
import { createPassLoop, type Loop } from '../pass-loop.js';

/** What the retention loop asks for. */
export interface RetentionDeps {
  tenants: () => Promise<string[]>;
  purgePage: RetentionLedger['purgePage'];
  log: { info: (facts: object, message: string) => void; warn: RetentionDeps['log']['info'] };
  /** Milliseconds between passes over all tenants; 6 hours. */
  intervalMs?: number | undefined;
}

/**
 * Removes what the ledger, and the API's stored answers, have been kept for, tenant by tenant, a bounded page a transaction. Several loops may run;
 * what one of them has removed the others do not find, and a pass that was cut short is continued by the next.
 */
export function createRetentionLoop(deps: RetentionDeps): Loop {
  const purge = async (tenant: string, kind: RetentionKind, signal: AbortSignal) => {
    let removed = 0;
    let after: string | undefined = '';
    while (after !== undefined && !signal.aborted) {
      const page = await deps.purgePage(tenant, { kind, after });
      removed += page.removed;
      after = page.next;
    }
    if (removed > 0) deps.log.info({ tenant, kind, removed }, 'rows were kept for their time');
  };
  return createPassLoop({
    intervalMs: deps.intervalMs ?? 6 * HOUR_MS,
    pass: async (signal) => {
      for (const tenant of await deps.tenants())
        for (const kind of retentionKinds) await purge(tenant, kind, signal);
    },
    failed: (error) =>
      deps.log.warn({ reason: String(error) }, 'retention waits for its next pass'),
  });
}
