import type { ChainRow } from '../../domain/audit/chain.js';
import type { AuditVerdict } from '../../domain/audit/contract.js';

/** What the endpoints of `audit` ask for. */
export interface AuditRouteDeps {
  /** Entries newest first, strictly before `before`. */
  listEntries: (
    tenant: string,
    filter: {
      action?: string | undefined;
      resource?: string | undefined;
      fromMs?: number | undefined;
      toMs?: number | undefined;
    },
    page: { limit: number; before: number | undefined },
  ) => Promise<ChainRow[]>;
  /** Reads a whole chain, its leaves and its checkpoints, and judges them. */
  verify: (tenant: string, signal: AbortSignal) => Promise<AuditVerdict>;
}
