import { readFile } from 'node:fs/promises';
import { createHealthLoop } from '../../src/activities/etl/health-loop.js';
import { observeEtl, type EtlDeps } from '../../src/activities/etl/index.js';
import type { KnowledgeHealth } from '../../src/domain/etl/knowledge-health.js';
import { createMetrics } from '../../src/main/metrics.js';
import { eventually } from '../support/eventually.js';

/** Series of a registry by name and labels, such as `anneal_x{a="b"}`. */
async function seriesOf(metrics: ReturnType<typeof createMetrics>): Promise<Map<string, number>> {
  const lines = (await metrics.registry.metrics()).split('\n');
  return new Map(
    lines
      .filter((line) => /^anneal_(etl|retrieval)/.test(line))
      .map((line) => {
        const at = line.lastIndexOf(' ');
        return [line.slice(0, at), Number(line.slice(at + 1))] as const;
      }),
  );
}

/** A store that loses itself where a function of it is called without it. */
class Store {
  readonly #rows = new Map<string, number>();
  readonly caps = { maxRows: 10 };
  replaceRows = async ({ adds }: { adds: readonly { rowId: string }[] }) => {
    for (const { rowId } of adds) this.#rows.set(rowId, 1);
    return {};
  };
  async stats() {
    return { rows: this.#rows.size, unindexedRows: 0, wantsCompaction: false };
  }
}

const store = new Store();
const change = { sourceKind: 'folder', changeKind: 'upsert' as const, lagSeconds: 2 };

/** What the observed functions use, and nothing else. */
const depsOf = (observe: EtlDeps['observe']): EtlDeps =>
  ({
    observe,
    ledger: {
      claimBatch: async () => [],
      commit: async () => [
        { docId: 'a', change: { ...change, changedLagSeconds: 9 } },
        { docId: 'b' },
      ],
      settleUnchanged: async () => [{ docId: 'c', change }],
      settleAccess: async () => [{ docId: 'd', change: { ...change, changeKind: 'acl' } }],
      quarantine: async () => undefined,
    },
    reconciles: {
      compareRows: async () => ({ rows: 9, orphanRowIds: ['x', 'y'], missing: [], stale: [] }),
    },
    embeddings: { findVectors: async () => new Map([['h', new Float32Array(1)]]) },
    parser: { parse: async () => Promise.reject(new Error('the parser is gone')) },
    pullSource: () => undefined,
    embedder: async () => ({ embed: async (texts: string[]) => texts.map(() => undefined) }),
    sink: async () => store,
  }) as unknown as EtlDeps;

it('what an ingest does is counted and timed where it is called, failed calls too, and nothing else changes', async () => {
  const metrics = createMetrics();
  const deps = observeEtl(depsOf(metrics.knowledge.etl.observe));
  const signal = new AbortController().signal;
  const committed = await deps.ledger.commit('t', 'b', []);
  expect(committed.map(({ docId }) => docId)).toEqual(['a', 'b']);
  await deps.ledger.settleUnchanged('t', 'b', []);
  await deps.ledger.settleAccess('t', 'b', []);
  const stopped = { docId: 'e', fence: 1n, hides: false, evidence: {} };
  await deps.ledger.quarantine('t', 'b', [{ ...stopped, stage: 'parse', reason: 'encrypted' }]);
  await deps.embeddings.findVectors('t', 'fp', ['h']);
  await expect(deps.parser.parse([], signal)).rejects.toThrow('the parser is gone');
  const generation = {} as Parameters<EtlDeps['sink']>[1];
  const embedder = await deps.embedder('t', generation);
  await embedder.embed(['four', 'eight ch'], 'document', signal);
  const sink = await deps.sink('t', generation);
  const adds = [{ rowId: '1' }, { rowId: '2' }, { rowId: '3' }, { rowId: '4' }];
  await sink.replaceRows({ adds, deleteIds: [] } as never);
  expect(await sink.stats()).toMatchObject({ rows: 4 });
  expect(sink.caps).toEqual({ maxRows: 10 });
  await deps.reconciles.compareRows('t', 'g', {} as never);
  const series = await seriesOf(metrics);
  const expected: [string, number][] = [
    ['lag_seconds_count{source_kind="folder",change_kind="upsert",stage="received"}', 2],
    ['lag_seconds_sum{source_kind="folder",change_kind="upsert",stage="received"}', 4],
    ['lag_seconds_sum{source_kind="folder",change_kind="upsert",stage="changed"}', 9],
    ['lag_seconds_count{source_kind="folder",change_kind="acl",stage="received"}', 1],
    ['quarantine_total{stage="parse",reason="encrypted"}', 1],
    ['quarantine_total{stage="gate",reason="mojibake"}', 0],
    ['memo_hits_total', 1],
    ['embed_calls_total', 1],
    ['embed_tokens_total', 3],
    ['embeds_per_changed_chunk', 0.5],
    ['stage_seconds_count{stage="parse"}', 1],
    ['stage_seconds_count{stage="embed"}', 1],
    ['stage_seconds_count{stage="write"}', 1],
    ['stage_seconds_count{stage="commit"}', 1],
    ['invariant_violations_total{reason="orphan_row"}', 2],
    ['invariant_violations_total{reason="missing_row"}', 0],
  ];
  for (const [name, value] of expected)
    expect([name, series.get(`anneal_etl_${name}`)]).toEqual([name, value]);
});

it('without an observer the dependencies are the same object', () => {
  const deps = depsOf(undefined);
  expect(observeEtl(deps)).toBe(deps);
});

const healths: Record<string, KnowledgeHealth> = {
  small: {
    sources: [{ sourceKind: 'folder', backlog: 3, oldestUnappliedSeconds: 5, scanAgeRatio: 0.5 }],
    sinks: [{ sink: 'lancedb', orphanRows: 1, missingRows: 0, recallAt10: 0.99 }],
    openIntents: 1,
    openIntentSeconds: 10,
  },
  large: {
    sources: [
      { sourceKind: 'folder', backlog: 4, oldestUnappliedSeconds: 2, scanAgeRatio: 3 },
      { sourceKind: 'upload', backlog: 0, oldestUnappliedSeconds: 0 },
    ],
    sinks: [{ sink: 'lancedb', orphanRows: 2, missingRows: 7, recallAt10: 0.9 }],
    openIntents: 2,
    openIntentSeconds: 4,
  },
};

it('gauges sum what counts over tenants, keep the worst of what is measured, and forget what is gone', async () => {
  const metrics = createMetrics();
  let tenants = ['small', 'large'];
  const stop = new AbortController();
  const loop = createHealthLoop({
    tenants: async () => tenants,
    readHealth: async (tenant) => {
      const health = healths[tenant];
      if (health === undefined) throw new Error('no such tenant');
      return health;
    },
    publish: metrics.knowledge.publishHealth,
    log: { warn: () => undefined },
    intervalMs: 20,
  });
  const ended = loop.run(stop.signal);
  try {
    await eventually(async () =>
      expect(Object.fromEntries(await seriesOf(metrics))).toMatchObject({
        'anneal_etl_backlog_documents{source_kind="folder"}': 7,
        'anneal_etl_oldest_unapplied_seconds{source_kind="folder"}': 5,
        'anneal_etl_scan_age_ratio{source_kind="folder"}': 3,
        'anneal_etl_orphan_rows{sink="lancedb"}': 3,
        'anneal_etl_missing_rows{sink="lancedb"}': 7,
        'anneal_retrieval_recall_at_10{sink="lancedb"}': 0.9,
        anneal_etl_open_intents: 3,
        anneal_etl_open_intent_seconds: 10,
      }),
    );
    const series = await seriesOf(metrics);
    expect([...series.keys()].filter((name) => name.includes('upload'))).toHaveLength(2);
    tenants = ['small'];
    await eventually(async () => {
      const after = await seriesOf(metrics);
      expect([...after.keys()].filter((name) => name.includes('upload'))).toEqual([]);
    });
    expect(loop.healthy()).toBe(true);
    tenants = ['gone'];
    await eventually(() => expect(loop.healthy()).toBe(false));
  } finally {
    stop.abort();
    await ended;
  }
});

it('every metric of knowledge is explained where operators look, with the alert that watches it', async () => {
  const names = (await createMetrics().registry.getMetricsAsJSON())
    .map(({ name }) => name)
    .filter((name) => /^anneal_(etl|retrieval)_/.test(name))
    .sort();
  const page = await readFile(new URL('../../docs/metrics.md', import.meta.url), 'utf8');
  const rows = [...page.matchAll(/^\| `(anneal_(?:etl|retrieval)_\w+)`.*\| ([\w–]+) *\|$/gm)];
  expect(rows.map(([, name]) => name).sort()).toEqual(names);
  const rules = await readFile(
    new URL('../../deploy/prometheus/knowledge-alerts.yaml', import.meta.url),
    'utf8',
  );
  const alerts = [...rules.matchAll(/alert: (\w+)/g)].map(([, alert]) => alert);
  expect(new Set(rows.map(([, , alert]) => alert))).toEqual(new Set([...alerts, '–']));
});
