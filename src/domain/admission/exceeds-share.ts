/** Places of one kind, and who has them. */
interface Holding {
  /** Places that nobody has. */
  free: number;
  ofTenant: number;
  /** Of these the caller's own; 0 where callers of a tenant are not told apart. */
  ofKey: number;
}

/**
 * True where somebody has as much as there is left for others. A tenant gets another place while it has fewer than are free,
 * and a key of it while it has fewer than its tenant may still take: alone, a tenant gets half of all places and one key a
 * quarter, and whoever comes next finds some. Source: dynamic thresholds with α = 1 (Choudhury and Hahne 1998), one inside
 * the other.
 */
export const exceedsShare = ({ free, ofTenant, ofKey }: Holding): boolean =>
  ofTenant >= free || ofKey >= Math.ceil((free - ofTenant) / 2);
