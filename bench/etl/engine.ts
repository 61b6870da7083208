import type { Phase, SourceState } from './corpus.js';
import type { MeteredEmbedder } from './metered-embedder.js';

/** A chunk that a side holds, or should hold. */
export interface HeldChunk {
  document: string;
  /** What was embedded. */
  text: string;
  /** The access that goes with the row, as one string. */
  acl: string;
  embedder: SourceState['embedder'];
}

/** What a side does with its store, and where it is stopped. */
export interface StoreMeter {
  /** Rows written and rows deleted. */
  writes: number;
  /** Ends the process at the next write: half of the rows, or all of them. */
  crash: 'half' | 'after' | undefined;
}

/** What the bench gives every side. */
export interface Provided {
  embedder: MeteredEmbedder;
  meter: StoreMeter;
}

/** One side of the comparison over one empty world. */
export interface Engine {
  /** Brings the index to this state of the source; the time it takes is the figure. */
  sync: (state: SourceState, change: Phase['change']) => Promise<void>;
  /** The way that its documentation names where `sync` leaves something behind; undefined: there is none. */
  rebuild?: ((state: SourceState) => Promise<void>) | undefined;
  /** What its store holds. */
  held: () => Promise<HeldChunk[]>;
  /** What its own splitter makes of a state: what the store should hold. */
  wanted: (state: SourceState) => Promise<HeldChunk[]>;
  /** As after the end of the process: what was only in memory is gone. */
  restart: () => Promise<void>;
  close: () => Promise<void>;
}

/** A side: makes engines, each over an empty world. */
export interface Side {
  name: string;
  open: (provided: Provided) => Promise<Engine>;
}

/** What a crash throws; whoever sees it ends the run as the end of the process would. */
export class Crash extends Error {
  override name = 'Crash';
  /** A status that no client tries again: there is nobody left to try. */
  readonly status = 400;
}
