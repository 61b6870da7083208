// The watcher of a source starts batches, a scan records what a pull source holds, a reconcile compares a store with its
// manifests, a compaction tidies it. What they decide on is in the ledger: a run that is lost, reset or started twice
// finds the same facts there. Thresholds travel as input, so a change of theirs reaches new runs only.
import type { StartRequest } from '../events/contract.js';
import type { ChangePriority } from './ledger.js';
import { DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS } from '../units.js';

/** How the two steps of a batch are tried. Milliseconds unless the name says otherwise. */
interface StepLimits {
  prepareTimeoutMs: number;
  writeTimeoutMs: number;
  /** Longest time for one step over all its attempts. */
  workTimeoutMs: number;
  heartbeatTimeoutMs: number;
  retryIntervalMs: number;
  maxAttempts: number;
}

/** What one batch claims at most. */
interface BatchLimits extends StepLimits {
  maxDocuments: number;
  /** Raw bytes. */
  maxBytes: number;
  /** How long a batch waits for more before it claims, where fewer than `maxDocuments` are due. */
  lingerMs: number;
}

/** How many batches a watcher keeps, and when it goes on as a new run. */
export interface WatchLimits {
  /** Batches at once where nothing is in trouble. */
  window: number;
  /** A watcher looks this often although nothing woke it. */
  safetyTickMs: number;
  /** Rest where the window is at 0; doubles with each trouble in a row, up to `restMaxMs`. */
  restMs: number;
  restMaxMs: number;
  maxBatches: number;
  maxHistoryEvents: number;
  batch: BatchLimits;
}

/** How a pull source is listed, and when a listing that would delete a lot waits for a person. */
export interface ScanLimits {
  pageEntries: number;
  pageBytes: number;
  pagesPerRun: number;
  pageTimeoutMs: number;
  /** Longest time for one page over all its attempts. */
  workTimeoutMs: number;
  heartbeatTimeoutMs: number;
  retryIntervalMs: number;
  maxAttempts: number;
  /** A scan that deletes at most this many never waits. */
  guardMinDeletes: number;
  /** How long a mass deletion waits for a decision before it is discarded. */
  decisionMs: number;
  maxHistoryEvents: number;
}

/** How a generation is compared with its store, or compacted. */
export interface CareLimits {
  stepTimeoutMs: number;
  workTimeoutMs: number;
  heartbeatTimeoutMs: number;
  retryIntervalMs: number;
  maxAttempts: number;
}

export const defaultBatchLimits: BatchLimits = {
  maxDocuments: 512,
  maxBytes: 4 * 1024 * 1024,
  lingerMs: 200,
  prepareTimeoutMs: 10 * MINUTE_MS,
  writeTimeoutMs: 15 * MINUTE_MS,
  workTimeoutMs: 2 * HOUR_MS,
  heartbeatTimeoutMs: 30 * SECOND_MS,
  retryIntervalMs: SECOND_MS,
  maxAttempts: 20,
};

export const defaultWatchLimits: WatchLimits = {
  window: 4,
  safetyTickMs: 15 * MINUTE_MS,
  restMs: 5 * SECOND_MS,
  restMaxMs: 5 * MINUTE_MS,
  maxBatches: 100,
  maxHistoryEvents: 1_500,
  batch: defaultBatchLimits,
};

export const defaultScanLimits: ScanLimits = {
  pageEntries: 5_000,
  pageBytes: 4 * 1024 * 1024,
  pagesPerRun: 200,
  pageTimeoutMs: 10 * MINUTE_MS,
  workTimeoutMs: 2 * HOUR_MS,
  heartbeatTimeoutMs: 30 * SECOND_MS,
  retryIntervalMs: SECOND_MS,
  maxAttempts: 10,
  guardMinDeletes: 20,
  decisionMs: 7 * DAY_MS,
  maxHistoryEvents: 1_500,
};

export const defaultCareLimits: CareLimits = {
  stepTimeoutMs: 30 * MINUTE_MS,
  workTimeoutMs: 2 * HOUR_MS,
  heartbeatTimeoutMs: 30 * SECOND_MS,
  retryIntervalMs: SECOND_MS,
  maxAttempts: 10,
};

/** Everything that runs of a source are given when they start. */
export interface SourceLimits {
  watch: WatchLimits;
  scan: ScanLimits;
}

/**
 * Limits of a source with what an installation sets for itself.
 * @param own `heartbeatTimeoutMs`: silence after which a step is given to another worker; `maxBatches` of one run
 */
export const sourceLimits = (own: {
  heartbeatTimeoutMs?: number | undefined;
  maxBatches?: number | undefined;
}): SourceLimits => {
  const {
    heartbeatTimeoutMs = defaultBatchLimits.heartbeatTimeoutMs,
    maxBatches = defaultWatchLimits.maxBatches,
  } = own;
  return {
    watch: {
      ...defaultWatchLimits,
      maxBatches,
      batch: { ...defaultBatchLimits, heartbeatTimeoutMs },
    },
    scan: { ...defaultScanLimits, heartbeatTimeoutMs },
  };
};

/** How many documents a batch, or all batches of a watcher, dealt with. */
export interface BatchCounts {
  claimed: number;
  indexed: number;
  unchanged: number;
  deleted: number;
  quarantined: number;
  /** Claims that another writer took meanwhile; it applies the change. */
  lost: number;
}

export const noCounts: BatchCounts = {
  claimed: 0,
  indexed: 0,
  unchanged: 0,
  deleted: 0,
  quarantined: 0,
  lost: 0,
};

/** The sum of two counts. */
export const addCounts = (a: BatchCounts, b: BatchCounts): BatchCounts => ({
  claimed: a.claimed + b.claimed,
  indexed: a.indexed + b.indexed,
  unchanged: a.unchanged + b.unchanged,
  deleted: a.deleted + b.deleted,
  quarantined: a.quarantined + b.quarantined,
  lost: a.lost + b.lost,
});

/** `512 claimed, 511 indexed, 1 quarantined`: what an operator reads of a batch. */
export function describeCounts(counts: BatchCounts): string {
  const { claimed, ...rest } = counts;
  const parts = Object.entries(rest).filter(([, count]) => count > 0);
  return [`${claimed} claimed`, ...parts.map(([name, count]) => `${count} ${name}`)].join(', ');
}

export interface WatchSourceInput {
  tenant: string;
  sourceId: string;
  limits: WatchLimits;
  /** What an earlier run of the same entity hands on; no part of what was authorised. */
  resume?: WatchResume | undefined;
}

/** What a watcher takes along when it goes on as a new run. */
export interface WatchResume {
  window: number;
  /** Troubles in a row. */
  troubles: number;
  /** Batches that hold claims and ended in trouble. */
  unfinished: string[];
  counts: BatchCounts;
}

/** A watcher ends only with its source. */
export interface WatchSourceResult {
  sourceId: string;
  state: 'DELETED';
  counts: BatchCounts;
}

export interface IngestBatchInput {
  tenant: string;
  sourceId: string;
  batchId: string;
  limits: BatchLimits;
}

/**
 * How a batch ended. A document never fails it: `trouble` says that a store, an embedder or the source did not answer,
 * so that the batch has to be run again, and `misconfigured` that it will not work before someone changes something.
 */
export interface IngestBatchResult {
  batchId: string;
  state: 'DONE' | 'TROUBLE' | 'MISCONFIGURED';
  counts: BatchCounts;
  /** Changes that were still due when the batch ended, and how urgent the first of them is. */
  waiting: number;
  /** Changes of documents that others held then. */
  held?: number | undefined;
  urgency?: ChangePriority | undefined;
  /** Code of what stopped the batch. */
  code?: string | undefined;
}

export interface ScanSourceInput {
  tenant: string;
  scanId: string;
  sourceId: string;
  limits: ScanLimits;
  /** Where an earlier run of the same scan stopped; no part of what was authorised. */
  resume?: ScanResume | undefined;
}

export interface ScanResume {
  cursor: string;
  pages: number;
  entries: number;
}

export const scanStates = ['RUNNING', 'WAITING', 'APPLIED', 'DISCARDED', 'FAILED'] as const;
export type ScanState = (typeof scanStates)[number];

export interface ScanSourceResult {
  scanId: string;
  state: 'APPLIED' | 'DISCARDED' | 'FAILED';
  pages: number;
  entries: number;
  upserts: number;
  deletes: number;
  code?: string | undefined;
}

export interface ReconcileGenerationInput {
  tenant: string;
  reconcileId: string;
  generationId: string;
  /** Equal parts that are compared one after the other. */
  slices: 1 | 2 | 4 | 8 | 16;
  limits: CareLimits;
}

/** Rows of a store that differed from the manifests, and were put right. */
export interface ReconcileCounts {
  rows: number;
  orphans: number;
  missing: number;
  stale: number;
}

export interface ReconcileGenerationResult extends ReconcileCounts {
  reconcileId: string;
  state: 'DONE' | 'FAILED';
  code?: string | undefined;
}

export interface CompactGenerationInput {
  tenant: string;
  compactionId: string;
  generationId: string;
  limits: CareLimits;
}

export interface CompactGenerationResult {
  compactionId: string;
  /** SKIPPED: the store has nothing to compact, or compacts by itself. */
  state: 'COMPACTED' | 'SKIPPED';
  rows: number;
}

/** `etl/<tenant>/<id>`; the id's prefix says what runs: `src_`, `bat_`, `scn_`, `rec_`, `cmp_`. */
export const etlWorkflowId = (tenant: string, id: string): string => `etl/${tenant}/${id}`;

/** The tenant and id of an `etl` workflow; undefined for any other workflow id. */
export function parseEtlWorkflowId(workflowId: string): { tenant: string; id: string } | undefined {
  const [kind, tenant, id, ...rest] = workflowId.split('/');
  const isOurs = kind === 'etl' && rest.length === 0;
  return isOurs && tenant !== undefined && id !== undefined ? { tenant, id } : undefined;
}

/** A start of a workflow of this capability, under the id of what it is about. */
export const etlStart = (
  id: string,
  start: Pick<StartRequest, 'workflowType' | 'input' | 'startedBy'> & {
    summary: string;
    phase: string;
    priorityKey: StartRequest['options']['priorityKey'];
  },
): StartRequest => ({
  workflowId: etlWorkflowId(start.input.tenant, id),
  workflowType: start.workflowType,
  taskQueue: 'orchestration',
  input: start.input,
  options: {
    summary: start.summary,
    searchAttributes: { Target: id, Phase: start.phase, WaitingOn: 'nothing' },
    priorityKey: start.priorityKey,
  },
  startedBy: start.startedBy,
});

/** The start of a source's watcher; written once, where the source is. */
export const watchSourceStart = (
  source: { tenant: string; sourceId: string; name: string },
  limits: WatchLimits = defaultWatchLimits,
): StartRequest =>
  etlStart(source.sourceId, {
    workflowType: 'watchSource',
    input: { tenant: source.tenant, sourceId: source.sourceId, limits },
    startedBy: 'relay',
    summary: `watch ${source.name}`,
    phase: 'WATCHING',
    priorityKey: 3,
  });

/** The start of a scan. */
export const scanSourceStart = (
  scan: { tenant: string; scanId: string; sourceId: string; name: string },
  startedBy: StartRequest['startedBy'] = 'relay',
  limits: ScanLimits = defaultScanLimits,
): StartRequest =>
  etlStart(scan.scanId, {
    workflowType: 'scanSource',
    input: { tenant: scan.tenant, scanId: scan.scanId, sourceId: scan.sourceId, limits },
    startedBy,
    summary: `scan ${scan.name}`,
    phase: 'RUNNING',
    priorityKey: 4,
  });

/** The start of a reconcile. */
export const reconcileGenerationStart = (
  run: { tenant: string; reconcileId: string; generationId: string },
  startedBy: StartRequest['startedBy'] = 'relay',
  limits: CareLimits = defaultCareLimits,
): StartRequest =>
  etlStart(run.reconcileId, {
    workflowType: 'reconcileGeneration',
    input: {
      tenant: run.tenant,
      reconcileId: run.reconcileId,
      generationId: run.generationId,
      slices: 16,
      limits,
    },
    startedBy,
    summary: `reconcile ${run.generationId}`,
    phase: 'RUNNING',
    priorityKey: 5,
  });

/** The start of a compaction. */
export const compactGenerationStart = (
  run: { tenant: string; compactionId: string; generationId: string },
  startedBy: StartRequest['startedBy'] = 'relay',
  limits: CareLimits = defaultCareLimits,
): StartRequest =>
  etlStart(run.compactionId, {
    workflowType: 'compactGeneration',
    input: {
      tenant: run.tenant,
      compactionId: run.compactionId,
      generationId: run.generationId,
      limits,
    },
    startedBy,
    summary: `compact ${run.generationId}`,
    phase: 'RUNNING',
    priorityKey: 5,
  });
