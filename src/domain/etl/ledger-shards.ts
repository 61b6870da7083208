/** The right to write to a single-writer store. The epoch rises with every new holder and fences the one before. */
export interface LedgerShards {
  /** @returns undefined while another owner holds the lease */
  acquireShard: (
    tenant: string,
    lease: { generationId: string; shard: number; owner: string; leaseMs: number },
  ) => Promise<{ epoch: bigint } | undefined>;
  /** @returns false where the lease was lost: stop writing */
  renewShard: (
    tenant: string,
    lease: { generationId: string; shard: number; epoch: bigint; leaseMs: number },
  ) => Promise<boolean>;
  releaseShard: (
    tenant: string,
    lease: { generationId: string; shard: number; epoch: bigint },
  ) => Promise<void>;
}
