import type { ParsedDocument } from './document.js';
import type { GateEvidence, ParseRefusalReason } from './gates.js';

/** A document as a parser gets it: its bytes, or a file that holds them. */
export interface ParseInput {
  id: string;
  /** File name or natural key; its extension decides where the content does not. */
  name: string;
  /** Media type as the source declared it. */
  declaredType?: string | undefined;
  content: { bytes: Uint8Array } | { path: string };
}

/** Why a document has no text. */
export interface ParseRefused {
  reason: ParseRefusalReason;
  evidence: GateEvidence;
}

/** What became of one document. */
export type ParseOutcome =
  { id: string; result: ParsedDocument } | { id: string; refused: ParseRefused };

/** What one document may cost. Times in ms, sizes in bytes, text in UTF-16 units. */
export interface ParseLimits {
  wallMs: number;
  /** Added to `wallMs` for each page of a PDF. */
  wallPerPageMs: number;
  maxWallMs: number;
  rssBytes: number;
  rawBytes: number;
  textUnits: number;
  archiveEntries: number;
  archiveBytes: number;
  archiveRatio: number;
}

/** The limits that hold where nothing else is said (etl.md §8). */
export const defaultParseLimits: ParseLimits = {
  wallMs: 60_000,
  wallPerPageMs: 500,
  maxWallMs: 600_000,
  rssBytes: 512 * 2 ** 20,
  rawBytes: 64 * 2 ** 20,
  textUnits: 8_000_000,
  archiveEntries: 10_000,
  archiveBytes: 200 * 2 ** 20,
  archiveRatio: 100,
};

/** Port of the parsers. One document never fails another: each has its own outcome, in the order given. */
export interface Parser {
  parse: (documents: readonly ParseInput[], signal: AbortSignal) => Promise<ParseOutcome[]>;
  close: () => Promise<void>;
}
