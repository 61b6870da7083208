/** How something that is read differs from what the source says. */
export type FindingKind =
  'orphan' | 'duplicate' | 'miss' | 'stale' | 'access' | 'cost' | 'quarantine' | 'crash';

/** The way of reading that showed it. */
type ReadPath = 'id' | 'filter' | 'ann' | 'lexical' | 'citation' | 'scan' | 'ledger' | 'process';

export interface Finding {
  kind: FindingKind;
  path: ReadPath;
  detail: string;
}

/** The provider's books so far, without the queries of the harness. */
export interface Books {
  /** Texts that were paid for. */
  paid: number;
  /** Different ones among them: what changed. */
  changed: number;
}

/** What one look of the checker came to. */
export interface Verdict {
  findings: Finding[];
  documents: number;
  reads: number;
  books: Books;
}

/** Spans that are shown more often than they are there. */
export function repeated(shown: readonly string[], wanted: readonly string[]): number {
  const left = new Map<string, number>();
  for (const span of wanted) left.set(span, (left.get(span) ?? 0) + 1);
  let count = 0;
  for (const span of shown) {
    const more = (left.get(span) ?? 0) - 1;
    left.set(span, more);
    if (more < 0 && wanted.includes(span)) count += 1;
  }
  return count;
}

/** Two bags of row keys compared: rows nobody asked for, rows twice, rows that are not there. */
export function compareRows(
  stored: readonly string[],
  committed: readonly string[],
): { orphans: string[]; duplicates: string[]; misses: string[] } {
  const wanted = new Set(committed);
  const seen = new Set<string>();
  const duplicates: string[] = [];
  for (const row of stored) {
    if (seen.has(row)) duplicates.push(row);
    seen.add(row);
  }
  return {
    orphans: [...seen].filter((row) => !wanted.has(row)),
    duplicates,
    misses: [...wanted].filter((row) => !seen.has(row)),
  };
}
