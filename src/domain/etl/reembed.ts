import type { Caller } from '../events/change.js';
import type { StartRequest } from '../events/contract.js';
import type { Verdict } from '../verdict.js';
import type { GenerationFacts } from './ledger.js';
import type { GenerationSpec } from './vector-sink.js';

/** A generation of a collection whose life a re-embedding follows. */
export interface ReembedKey {
  tenant: string;
  generationId: string;
}

/** How a generation stands: everything that the run which builds it decides on. */
export interface ReembedStanding {
  /** FITTING: its row comes with the end of its fit. GONE: there never was one. */
  state: 'FITTING' | GenerationFacts['state'] | 'DROPPED' | 'GONE';
  /** Of the collection: a flip moves it. */
  epoch: number;
  liveGenerationId: string | undefined;
  /** Which one answered before this one did; undefined where this one never went live. */
  previousLiveId: string | undefined;
  /** Documents whose rows in this generation are not those of their live revision. */
  lagging: number;
  decision: 'flip' | 'drop' | undefined;
  /** Milliseconds left for a decision by the database's clock; undefined where none was asked for. */
  decisionLeftMs: number | undefined;
  /** Milliseconds that it is still held; undefined where it is not. */
  holdLeftMs: number | undefined;
}

/** What the gate said. */
interface GateStanding {
  over: boolean;
  verdict: Verdict | undefined;
}

/** Port of the rows of re-embeddings. Every function may be repeated. Failures: `STORE_UNAVAILABLE`. */
export interface ReembedLedger {
  readReembed: (key: ReembedKey) => Promise<ReembedStanding>;
  /** The reconcile of a generation that is running or begins now, ready to be started as a child. */
  beginReconcile: (caller: Caller, generationId: string) => Promise<StartRequest>;
  /** Whether the last reconcile of a generation is over, and well. */
  readReconcile: (key: ReembedKey) => Promise<{ over: boolean; done: boolean }>;
  /**
   * The evaluation of a generation against the live one, by the queries and for the reader that its row names. Another
   * live generation than at the last one makes a new evaluation.
   */
  beginGate: (caller: Caller, generationId: string) => Promise<StartRequest>;
  /**
   * Verdict of the evaluation; where the reader found nothing at all on either side, two equal zeros prove nothing:
   * INCONCLUSIVE.
   */
  readGate: (key: ReembedKey) => Promise<GateStanding>;
  /** From now on a person may decide, for so long; asked again: the first time stays. */
  askDecision: (
    caller: Caller,
    generationId: string,
    ask: { reason: string; decisionMs: number },
  ) => Promise<void>;
  /** Ends the claims of a backfill slice that are left; what was not written is claimed again later. */
  releaseClaims: (tenant: string, batchId: string) => Promise<void>;
  /** Which place of a store belongs to a generation, dropped or not. @throws NOT_FOUND */
  findPlace: (key: ReembedKey) => Promise<GenerationSpec & { sink: string }>;
}

/** What a fit yields. */
export interface FittedEmbedder {
  artifactRef: string;
  artifactDigest: `sha256:${string}`;
  /** Fingerprint of the embedder that the artifact makes. */
  embedFp: string;
  texts: number;
  terms: number;
  bytes: number;
}

/** Port of the rows of fits. Every function may be repeated. Failures: `STORE_UNAVAILABLE`. */
export interface FitLedger {
  /** The start of a fit, ready to be started as a child. @throws NOT_FOUND */
  beginFit: (caller: Caller, fitId: string) => Promise<StartRequest>;
  readFit: (
    tenant: string,
    fitId: string,
  ) => Promise<{
    state: 'RUNNING' | 'DONE' | 'FAILED';
    embedder: string;
    collectionId: string;
    code: string | undefined;
  }>;
  /** Embedded texts of the searchable chunks of a collection, in order of document; at most about `maxTexts`. */
  chunkTexts: (
    tenant: string,
    of: { collectionId: string; maxTexts: number },
  ) => AsyncIterable<string>;
  /**
   * RUNNING → DONE, and the generation that the fit was made for is BUILDING: from now on every commit writes it too. The
   * first result stays.
   */
  completeFit: (caller: Caller, fitId: string, fitted: FittedEmbedder) => Promise<void>;
  /** RUNNING → FAILED. */
  failFit: (caller: Caller, fitId: string, code: string) => Promise<void>;
}
