import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import type { EtlObserver } from '../activities/etl/index.js';
import type { RetrievalObserver } from '../activities/retrieval/index.js';
import { quarantineReasons } from '../domain/etl/gates.js';
import type { KnowledgeHealth } from '../domain/etl/knowledge-health.js';

const LAG_BUCKETS = [0.25, 0.5, 1, 2, 3, 5, 10, 30, 60, 300, 1_800, 7_200];
const STAGE_BUCKETS = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 60];
const QUERY_BUCKETS = [0.005, 0.01, 0.015, 0.02, 0.03, 0.05, 0.1, 0.25, 0.5, 1, 5];

/** Counters and histograms of what a worker does. */
function createEtlCounts(registers: Registry[]) {
  const counter = <L extends string>(name: string, help: string, labelNames: L[] = []) =>
    new Counter({ name, help, labelNames, registers });
  return {
    lag: new Histogram({
      name: 'anneal_etl_lag_seconds',
      help: 'Seconds until a change was in effect: since it was received, or since it was made where the source says when.',
      labelNames: ['source_kind', 'change_kind', 'stage'],
      buckets: LAG_BUCKETS,
      registers,
    }),
    stages: new Histogram({
      name: 'anneal_etl_stage_seconds',
      help: 'Duration of the calls that an ingest is made of.',
      labelNames: ['stage'],
      buckets: STAGE_BUCKETS,
      registers,
    }),
    quarantined: counter('anneal_etl_quarantine_total', 'Documents that a gate stopped.', [
      'stage',
      'reason',
    ]),
    memoHits: counter('anneal_etl_memo_hits_total', 'Vectors that were found in the memo.'),
    embedCalls: counter('anneal_etl_embed_calls_total', 'Calls of embedders.'),
    embedTokens: counter(
      'anneal_etl_embed_tokens_total',
      'Tokens sent to embedders, estimated at four characters each.',
    ),
    violations: counter(
      'anneal_etl_invariant_violations_total',
      'Rows of a store that differed from the manifests.',
      ['reason'],
    ),
    unindexed: counter(
      'anneal_etl_unindexed_chunks_total',
      'Chunks that are not indexed because there is nothing in them to embed.',
    ),
    parserKills: counter(
      'anneal_etl_parser_kills_total',
      'Parser processes that were killed or died in the middle of a document.',
      ['reason'],
    ),
  };
}

/** What an ingest reports; the ratio of embeds to changed chunks is that of this process since it began. */
function createEtlObserver(registers: Registry[]) {
  const counts = createEtlCounts(registers);
  // A series that begins with its first event hides that event from `increase`.
  for (const [reason, { stage }] of Object.entries(quarantineReasons))
    counts.quarantined.inc({ stage, reason }, 0);
  for (const reason of ['missing_row', 'orphan_row', 'undeleted_row', 'foreign_row'])
    counts.violations.inc({ reason }, 0);
  for (const reason of ['wall', 'rss', 'crash', 'cancelled']) counts.parserKills.inc({ reason }, 0);
  let embedded = 0;
  let changed = 0;
  new Gauge({
    name: 'anneal_etl_embeds_per_changed_chunk',
    help: 'Texts embedded for each chunk written; 0 where nothing was written.',
    registers,
    collect() {
      this.set(changed === 0 ? 0 : embedded / changed);
    },
  });
  const observe: EtlObserver = {
    applied: ({ sourceKind, changeKind, lagSeconds, changedLagSeconds }) => {
      const labels = { source_kind: sourceKind, change_kind: changeKind };
      counts.lag.observe({ ...labels, stage: 'received' }, lagSeconds);
      if (changedLagSeconds !== undefined)
        counts.lag.observe({ ...labels, stage: 'changed' }, changedLagSeconds);
    },
    quarantined: ({ stage, reason }) => counts.quarantined.inc({ stage, reason }),
    stage: (stage, seconds) => counts.stages.observe({ stage }, seconds),
    memoHits: (vectors) => counts.memoHits.inc(vectors),
    embedded: ({ texts, tokens }) => {
      embedded += texts;
      counts.embedCalls.inc();
      counts.embedTokens.inc(tokens);
    },
    chunksChanged: (chunks) => {
      changed += chunks;
    },
    violation: (reason, rows = 1) => counts.violations.inc({ reason }, rows),
    unindexed: (chunks) => counts.unindexed.inc(chunks),
  };
  return { observe, parserKilled: (reason: string) => counts.parserKills.inc({ reason }) };
}

function createRetrievalObserver(registers: Registry[]): RetrievalObserver {
  const seconds = new Histogram({
    name: 'anneal_retrieval_seconds',
    help: 'Duration of queries; stage `degraded`: the words alone answered.',
    labelNames: ['stage'],
    buckets: QUERY_BUCKETS,
    registers,
  });
  const filtered = new Counter({
    name: 'anneal_retrieval_filtered_hits_total',
    help: 'Candidates of a store that the ledger did not let through.',
    registers,
  });
  const exhausted = new Counter({
    name: 'anneal_retrieval_exhausted_total',
    help: 'Queries that found fewer readable hits than they asked for.',
    registers,
  });
  return {
    queried: (of) => {
      seconds.observe({ stage: of.degraded ? 'degraded' : 'full' }, of.seconds);
      filtered.inc(of.filteredHits);
      if (of.exhausted) exhausted.inc();
    },
  };
}

/** Gauges of what only the ledger knows. A series exists only where there is something to say. */
function createHealthGauges(registers: Registry[]) {
  const gauge = (name: string, help: string, labelNames: string[] = []) =>
    new Gauge({ name, help, labelNames, registers });
  const bySource = {
    backlog: gauge('anneal_etl_backlog_documents', 'Documents with changes to apply.', [
      'source_kind',
    ]),
    oldestUnappliedSeconds: gauge(
      'anneal_etl_oldest_unapplied_seconds',
      'Age of the oldest change that is not in effect.',
      ['source_kind'],
    ),
    scanAgeSeconds: gauge(
      'anneal_etl_scan_age_seconds',
      'Longest time since a complete scan of a source that is scanned by itself.',
      ['source_kind'],
    ),
    scanAgeRatio: gauge(
      'anneal_etl_scan_age_ratio',
      'The longest scan age in units of the schedule of its source.',
      ['source_kind'],
    ),
  };
  const bySink = {
    orphanRows: gauge(
      'anneal_etl_orphan_rows',
      'Rows without a document that the newest reconciles found.',
      ['sink'],
    ),
    missingRows: gauge(
      'anneal_etl_missing_rows',
      'Rows of documents that the newest reconciles did not find.',
      ['sink'],
    ),
    recallAt10: gauge(
      'anneal_retrieval_recall_at_10',
      'Lowest recall@10 of the live indexes against exact search.',
      ['sink'],
    ),
    ndcgAt10: gauge(
      'anneal_retrieval_ndcg_at_10',
      'Lowest nDCG@10 of the newest evaluations of live generations.',
      ['sink'],
    ),
  };
  const openIntents = gauge('anneal_etl_open_intents', 'Writes in doubt.');
  const openIntentSeconds = gauge(
    'anneal_etl_open_intent_seconds',
    'Age of the oldest write in doubt.',
  );
  const set = (to: Gauge, labels: Record<string, string>, value: number | undefined): void => {
    if (value !== undefined) to.set(labels, value);
  };
  return (health: KnowledgeHealth): void => {
    for (const each of [...Object.values(bySource), ...Object.values(bySink)]) each.reset();
    for (const { sourceKind, ...values } of health.sources)
      for (const [name, to] of Object.entries(bySource))
        set(to, { source_kind: sourceKind }, values[name as keyof typeof bySource]);
    for (const { sink, ...values } of health.sinks)
      for (const [name, to] of Object.entries(bySink))
        set(to, { sink }, values[name as keyof typeof bySink]);
    openIntents.set(health.openIntents);
    openIntentSeconds.set(health.openIntentSeconds);
  };
}

/** The metrics of `etl` and `retrieval` (etl.md §13). Labels are bounded: never a tenant, a key or an id. */
export function createKnowledgeMetrics(registry: Registry) {
  const registers = [registry];
  return {
    etl: createEtlObserver(registers),
    retrieval: createRetrievalObserver(registers),
    publishHealth: createHealthGauges(registers),
  };
}
