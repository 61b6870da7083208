const EVERYONE = 'public';

/**
 * Who may read what both lists allow: what holds from the moment a change of access is recorded until it is applied.
 * Order of the result is that of `next` where everyone could read before, else that of `now`.
 */
export function narrowAccess(now: readonly string[], next: readonly string[]): string[] {
  if (now.includes(EVERYONE)) return [...next];
  if (next.includes(EVERYONE)) return [...now];
  const allowed = new Set(next);
  return now.filter((principal) => allowed.has(principal));
}
