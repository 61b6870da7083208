import type { ParsedDocument } from '../../domain/etl/document.js';
import type { MediaType } from '../../domain/etl/media-types.js';
import type { ParseLimits, ParseRefused } from '../../domain/etl/parser.js';

/** First message of a child. */
export interface ParserStart {
  data: { progressFile: string; limits: ParseLimits };
}

/** One document of a task: `length` bytes at `offset` of the task's input file. */
interface SpooledDocument {
  name: string;
  mediaType: MediaType;
  offset: number;
  length: number;
}

/** A batch. Texts travel in files, so that a message is small whatever the documents are. */
export interface ParserTask {
  id: number;
  inputFile: string;
  /** Where the child writes the outcomes: an array of `ChildOutcome`, one per document, in the V8 serialisation. */
  outputFile: string;
  /** Where the child keeps the finished pages of a PDF. */
  pagesFile: string;
  documents: SpooledDocument[];
}

export type ChildOutcome = { result: ParsedDocument } | { refused: ParseRefused };

export type ParserNotice = { kind: 'ready' } | { kind: 'done'; id: number };

/** The progress file: four little-endian 32-bit counts. The parent reads it while the child cannot answer. */
export const PROGRESS_BYTES = 16;

export interface Progress {
  task: number;
  /** Place in the task of the document that is being parsed. */
  index: number;
  /** Pages of that document, and how many are done; PDF only. */
  pages: number;
  pagesDone: number;
}

export function writeProgress(into: Buffer, { task, index, pages, pagesDone }: Progress): Buffer {
  into.writeUInt32LE(task, 0);
  into.writeUInt32LE(index, 4);
  into.writeUInt32LE(pages, 8);
  into.writeUInt32LE(pagesDone, 12);
  return into;
}

export const readProgress = (from: Buffer): Progress => ({
  task: from.readUInt32LE(0),
  index: from.readUInt32LE(4),
  pages: from.readUInt32LE(8),
  pagesDone: from.readUInt32LE(12),
});
