/**
 * True if more rows of a batch were rejected than its limit allows; the batch then waits as QUARANTINED. Exact in
 * integers. A batch without rows never exceeds.
 * @param limit.maxRejectShareBp 0–10000 basis points of all rows
 */
export const exceedsRejectShare = (limit: {
  rejected: number;
  total: number;
  maxRejectShareBp: number;
}): boolean => limit.rejected * 10_000 > limit.maxRejectShareBp * limit.total;
