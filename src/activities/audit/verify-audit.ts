import type { AuditLeaf, ChainHead, ChainRow, Checkpoint } from '../../domain/audit/chain.js';
import type { AuditVerdict } from '../../domain/audit/contract.js';
import { createChainVerifier } from '../../domain/audit/verify-chain.js';

/** What verification reads. */
export interface VerifyAuditDeps {
  readCheckpoints: () => Promise<Checkpoint[]>;
  head: (tenant: string) => Promise<ChainHead | undefined>;
  /** Links `from` to `to`, both included, in order, with the leaves that they sealed. */
  readPage: (
    tenant: string,
    from: number,
    to: number,
  ) => Promise<{ rows: ChainRow[]; leaves: Map<number, AuditLeaf[]> }>;
}

/** Links per page: small, because each may have sealed a thousand leaves, and the hashing holds up the event loop. */
const PAGE = 250;

/**
 * Verifies one tenant's chain from its first entry to its head, page by page.
 * @param signal stops a verification that nobody waits for
 */
export const createVerifyAudit =
  (deps: VerifyAuditDeps) =>
  async (tenant: string, signal: AbortSignal): Promise<AuditVerdict> => {
    const startedAt = performance.now();
    // In this order: what is appended while we read is then never mistaken for tampering.
    const checkpoints = await deps.readCheckpoints();
    const head = await deps.head(tenant);
    const verifier = createChainVerifier({ tenant, head, checkpoints });
    const size = head?.seq ?? 0;
    for (let from = 1; from <= size; from += PAGE) {
      signal.throwIfAborted();
      if (!verifier.add(await deps.readPage(tenant, from, Math.min(from + PAGE - 1, size)))) break;
    }
    return {
      tenant,
      size,
      ...(head === undefined ? {} : { headHash: Buffer.from(head.hash).toString('hex') }),
      ...verifier.finish(),
      durationMs: Math.round(performance.now() - startedAt),
    };
  };
