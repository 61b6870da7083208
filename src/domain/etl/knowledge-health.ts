/** How the sources of one kind stand; ages in seconds, undefined where there is nothing to be old. */
interface SourceHealth {
  sourceKind: string;
  /** Documents with a change that is not applied. */
  backlog: number;
  oldestUnappliedSeconds: number;
  /** Since the last complete scan of the source that waits longest, among those that are scanned by themselves. */
  scanAgeSeconds?: number | undefined;
  /** The same in units of each source's own schedule. */
  scanAgeRatio?: number | undefined;
}

/** How the generations in one store stand. Rows are those that the newest reconcile of each generation found. */
interface SinkHealth {
  sink: string;
  orphanRows: number;
  missingRows: number;
  /** Lowest recall@10 that a probe measured, 0 to 1. */
  recallAt10?: number | undefined;
  /** Lowest nDCG@10 of the newest evaluations, 0 to 1. */
  ndcgAt10?: number | undefined;
}

/** What the ledger says about the health of knowledge; of one tenant, or of all together (etl.md §13). */
export interface KnowledgeHealth {
  sources: SourceHealth[];
  sinks: SinkHealth[];
  openIntents: number;
  /** Age of the oldest write in doubt in seconds; 0 where there is none. */
  openIntentSeconds: number;
}

const worst = (
  pick: (...values: number[]) => number,
  a: number | undefined,
  b: number | undefined,
): number | undefined => (a === undefined || b === undefined ? (a ?? b) : pick(a, b));

const addSource = (a: SourceHealth, b: SourceHealth): SourceHealth => ({
  sourceKind: a.sourceKind,
  backlog: a.backlog + b.backlog,
  oldestUnappliedSeconds: Math.max(a.oldestUnappliedSeconds, b.oldestUnappliedSeconds),
  scanAgeSeconds: worst(Math.max, a.scanAgeSeconds, b.scanAgeSeconds),
  scanAgeRatio: worst(Math.max, a.scanAgeRatio, b.scanAgeRatio),
});

const addSink = (a: SinkHealth, b: SinkHealth): SinkHealth => ({
  sink: a.sink,
  orphanRows: a.orphanRows + b.orphanRows,
  missingRows: a.missingRows + b.missingRows,
  recallAt10: worst(Math.min, a.recallAt10, b.recallAt10),
  ndcgAt10: worst(Math.min, a.ndcgAt10, b.ndcgAt10),
});

/** Sums what counts and keeps the worst of what is measured, by kind of source and by store. */
export function mergeHealth(all: readonly KnowledgeHealth[]): KnowledgeHealth {
  const sources = new Map<string, SourceHealth>();
  const sinks = new Map<string, SinkHealth>();
  let openIntents = 0;
  let openIntentSeconds = 0;
  for (const one of all) {
    openIntents += one.openIntents;
    openIntentSeconds = Math.max(openIntentSeconds, one.openIntentSeconds);
    for (const source of one.sources) {
      const known = sources.get(source.sourceKind);
      sources.set(source.sourceKind, known === undefined ? source : addSource(known, source));
    }
    for (const sink of one.sinks) {
      const known = sinks.get(sink.sink);
      sinks.set(sink.sink, known === undefined ? sink : addSink(known, sink));
    }
  }
  return {
    sources: [...sources.values()],
    sinks: [...sinks.values()],
    openIntents,
    openIntentSeconds,
  };
}
