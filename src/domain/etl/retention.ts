import { DAY_MS } from '../units.js';

/**
 * How long the database keeps what nothing works with any more, in milliseconds (etl.md §4; changes and scans as events,
 * lifecycle.md §11; answers, reliability.md §8).
 */
export const etlRetention = {
  /** What was written to a store, after it was committed. */
  intentMs: 7 * DAY_MS,
  /** Text of a revision after another one replaced it, or its document went: citations of it are answered that long. */
  textMs: 30 * DAY_MS,
  /** A change that was applied, or given up, after a later one of its document was applied. */
  changeMs: 30 * DAY_MS,
  /** A scan that is over, after a later one of its source. */
  scanMs: 30 * DAY_MS,
  /** The answer to a mutating request, by its idempotency key, once the operation that it began is over. */
  answerMs: 30 * DAY_MS,
} as const;

/** Kinds of rows with a time to be kept. */
export const retentionKinds = ['intents', 'texts', 'changes', 'scans', 'answers'] as const;
export type RetentionKind = (typeof retentionKinds)[number];

/** What one bounded transaction removed. */
export interface RetentionPage {
  removed: number;
  /** Where the next page begins; undefined: this was the last one. */
  next: string | undefined;
}

/** Removes what has been kept for its time. */
export interface RetentionLedger {
  /**
   * One page, in one transaction. What a claim holds, an open write refers to or a generation stands at is never removed;
   * a repeat removes nothing twice.
   * @param of.after where the page begins; `''` for the first
   */
  purgePage: (tenant: string, of: { kind: RetentionKind; after: string }) => Promise<RetentionPage>;
}
