/** Vectors that cost money, and the right to make more of them. */
export interface LedgerEmbeddings {
  findVectors: (
    tenant: string,
    embedFp: string,
    textHashes: readonly string[],
  ) => Promise<Map<string, Float32Array>>;
  saveVectors: (
    tenant: string,
    embedFp: string,
    vectors: readonly { textHash: string; vector: Float32Array }[],
  ) => Promise<void>;
  /**
   * Takes up to `want` tokens from the bucket that all workers share: at most one second's worth.
   * @returns what was granted; `retryAfterMs` says when the bucket is worth asking again where it was less
   */
  leaseTokens: (
    tenant: string,
    embedFp: string,
    bucket: { perSecond: number; burst: number; want: number },
  ) => Promise<{ granted: number; retryAfterMs: number }>;
}
