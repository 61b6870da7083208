// A collection is embedded anew beside the generation that answers: fit where the embedder is made of the collection's
// own text, backfill, compare, judge, flip, hold, drop. Each step reads facts in Postgres and may be repeated.
import { DAY_MS, MINUTE_MS, SECOND_MS } from '../units.js';
import type { StartRequest } from '../events/contract.js';
import { defaultCareLimits, etlStart, type CareLimits } from './contract.js';

/** How a re-embedding works and how long it waits. Milliseconds unless the name says otherwise. */
export interface ReembedLimits {
  /** Slices at once where nothing is in trouble. */
  window: number;
  sliceDocuments: number;
  /** Slices after which the run goes on as a new one. */
  slicesPerRun: number;
  maxHistoryEvents: number;
  /** Tries of one slice, and of the fit. */
  step: CareLimits;
  /** Rest after a round that got nowhere; doubles up to `restMaxMs`. */
  restMs: number;
  restMaxMs: number;
  /** How long a person has to decide where the gate could not; then the new generation goes. */
  decisionMs: number;
  /** A run that waits or holds looks this often although nobody woke it. */
  lookMs: number;
  /** Longest life of a writer: a dropped generation's store is removed this much later. */
  drainMs: number;
  /** How often a child that someone else started is asked for. */
  childLookMs: number;
}

export const defaultReembedLimits: ReembedLimits = {
  window: 2,
  sliceDocuments: 512,
  slicesPerRun: 100,
  maxHistoryEvents: 2_000,
  step: { ...defaultCareLimits, stepTimeoutMs: 15 * MINUTE_MS },
  restMs: SECOND_MS,
  restMaxMs: 5 * MINUTE_MS,
  decisionMs: 7 * DAY_MS,
  lookMs: 15 * MINUTE_MS,
  drainMs: 16 * MINUTE_MS,
  childLookMs: 5 * SECOND_MS,
};

export interface ReembedCollectionInput {
  tenant: string;
  collectionId: string;
  /** The generation to build. */
  generationId: string;
  /** The fit that makes its embedder; absent where the embedder is known. */
  fitId?: string | undefined;
  /** Whether judged queries decide; without them `autoFlip` does. */
  gated: boolean;
  /** Whether the new generation goes live without a person where nothing speaks against it. */
  autoFlip: boolean;
  holdMs: number;
  limits: ReembedLimits;
  /** Where an earlier run stopped; no part of what was authorised. */
  resume?: ReembedResume | undefined;
}

/** What a run takes along when it goes on as a new one. */
export interface ReembedResume {
  phase: 'BUILDING' | 'HOLDING';
  counts: SliceCounts;
  slices: number;
  /** Held from the flip on. */
  previousId?: string | undefined;
}

/** What slices of a backfill did. */
export interface SliceCounts {
  claimed: number;
  written: number;
  /** The embedder has no usable vector for a chunk of these. */
  stopped: number;
  /** Claims that another writer took meanwhile. */
  lost: number;
}

export const noSlices: SliceCounts = { claimed: 0, written: 0, stopped: 0, lost: 0 };

export const addSlices = (a: SliceCounts, b: SliceCounts): SliceCounts => ({
  claimed: a.claimed + b.claimed,
  written: a.written + b.written,
  stopped: a.stopped + b.stopped,
  lost: a.lost + b.lost,
});

/** FAILED: its embedder could not be fitted, so there was no generation. DROPPED: it was built and is gone again. */
export interface ReembedCollectionResult {
  generationId: string;
  state: 'LIVE' | 'DROPPED' | 'FAILED';
  slices: number;
  counts: SliceCounts;
  /** Why it was dropped, or the code of what failed. */
  reason?: string | undefined;
}

export interface FitEmbedderInput {
  tenant: string;
  fitId: string;
  /** Texts above this number are sampled by their hash. */
  maxTexts: number;
  limits: CareLimits;
}

export interface FitEmbedderResult {
  fitId: string;
  state: 'DONE' | 'FAILED';
  code?: string | undefined;
}

/** Chunks that a fit reads at most. */
const MAX_FIT_TEXTS = 200_000;

/** The start of a re-embedding; the run has the id of the generation that it builds. */
export const reembedCollectionStart = (
  of: Omit<ReembedCollectionInput, 'limits' | 'resume'> & { name: string; embedder: string },
  limits: ReembedLimits = defaultReembedLimits,
): StartRequest => {
  const { name, embedder, fitId, ...rest } = of;
  return etlStart(of.generationId, {
    workflowType: 'reembedCollection',
    input: { ...rest, ...(fitId === undefined ? {} : { fitId }), limits },
    startedBy: 'api',
    summary: `re-embed ${name} with ${embedder}`,
    phase: fitId === undefined ? 'BUILDING' : 'FITTING',
    priorityKey: 5,
  });
};

/** The start of a fit: a child of the re-embedding, which starts it itself. */
export const fitEmbedderStart = (
  of: { tenant: string; fitId: string; embedder: string },
  limits: CareLimits = defaultCareLimits,
): StartRequest => {
  const { embedder, ...key } = of;
  return etlStart(of.fitId, {
    workflowType: 'fitEmbedder',
    input: { ...key, maxTexts: MAX_FIT_TEXTS, limits },
    startedBy: 'api',
    summary: `fit ${embedder}`,
    phase: 'RUNNING',
    priorityKey: 5,
  });
};
