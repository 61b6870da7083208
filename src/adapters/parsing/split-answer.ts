import type { SplitRows } from '../../domain/etl/rows.js';

/** What the thread that splits a table answers, once. */
export type SplitAnswer =
  { split: SplitRows } | { refused: { reason: string; evidence: Record<string, unknown> } };
