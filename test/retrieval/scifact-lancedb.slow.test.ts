import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLanceStore } from '../../src/adapters/lancedb/create-lance-store.js';
import { uuid8 } from '../../src/domain/etl/fingerprints.js';
import { hash384 } from '../../src/domain/etl/hash-384.js';
import type { SinkRow, VectorStore } from '../../src/domain/etl/vector-sink.js';
import {
  measureGeneration,
  type AnsweredQuery,
} from '../../src/domain/retrieval/measure-generation.js';
import { accessOf, readerOf } from '../../src/domain/retrieval/principals.js';
import { describeWithData } from '../support/test-data.js';
import { loadSciFact } from './scifact.js';

const CANDIDATES = 100;
const uuidOf = (text: string) => uuid8(createHash('sha256').update(text).digest('hex'));

describeWithData('scifact', 'the built-in evaluation set through LanceDB', () => {
  let folder: string;
  let store: VectorStore;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'anneal-scifact-'));
    store = createLanceStore({ folder });
  });
  afterAll(async () => {
    await store.close();
    await rm(folder, { recursive: true, force: true });
  });

  it('reaches the gates with the index of the store and its own text search', async () => {
    const { chunks, queries } = loadSciFact();
    const generation = { tenant: 'acme', generationId: 'gen_1', embedFp: 'hash', dims: 384 };
    await store.ensureGeneration(generation);
    const sink = store.sink(generation);
    const rows = chunks.flatMap(({ id, docId, text }): SinkRow[] => {
      const vector = hash384(text);
      const [rowId, document] = [uuidOf(id), uuidOf(docId)];
      const access = { acl: ['public'], accessHash: 'sha256:public', metadata: {} };
      return vector === undefined ? [] : [{ rowId, docId: document, vector, text, ...access }];
    });
    for (let from = 0; from < rows.length; from += 2_000)
      await sink.replaceRows({ adds: rows.slice(from, from + 2_000), deleteIds: [] });
    await sink.compact?.();
    const reader = readerOf({ tenant: 'acme', subject: 'ada', groups: [], purpose: 'evaluation' });
    const ask = { k: CANDIDATES, filter: accessOf(reader) };
    const answers: AnsweredQuery[] = [];
    for (const { id, text, split, judgements } of queries) {
      const since = performance.now();
      const vector = hash384(text);
      const [lexical, dense] = await Promise.all([
        sink.search({ ...ask, leg: { text } }),
        vector === undefined ? [] : sink.search({ ...ask, leg: { vector } }),
      ]);
      const latencyMs = performance.now() - since;
      const candidates = (hits: typeof dense) =>
        hits.map(({ rowId, score }) => ({ id: rowId, score }));
      answers.push({
        ...{ queryId: id, split, latencyMs },
        judgements: new Map([...judgements].map(([docId, gain]) => [uuidOf(docId), gain])),
        legs: { lexical: candidates(lexical), dense: candidates(dense) },
        documents: new Map([...lexical, ...dense].map(({ rowId, docId }) => [rowId, docId])),
      });
    }
    const measure = (of: readonly AnsweredQuery[]) =>
      measureGeneration({
        candidate: { embedder: 'hash-384', answers: of },
        ...{ baseline: undefined, epsilon: 0.01, seed: 7 },
      }).report;
    const report = measure(answers);
    // Every query reports: the gates of the single legs are over all of them.
    const all = measure(answers.map((query) => ({ ...query, split: 'report' as const })));
    process.stdout.write(
      `SciFact nDCG@10 through LanceDB, all / report half (reference)\n` +
        `lexical  ${all.legs.lexical.toFixed(3)} / ${report.legs.lexical.toFixed(3)} (0.699 / 0.724)\n` +
        `hash-384 ${all.legs.dense.toFixed(3)} / ${report.legs.dense.toFixed(3)} (0.433 / 0.438)\n` +
        `fitted hybrid at ${report.candidate.alphaBp} bp: – / ${report.candidate.ndcgAt10.toFixed(3)}, ` +
        `recall@50 ${report.candidate.recallAt50.toFixed(3)}, ${report.comparison.verdict} ` +
        `[${report.comparison.low.toFixed(4)}, ${report.comparison.high.toFixed(4)}], ` +
        `p50 ${report.candidate.latencyP50Ms.toFixed(1)} ms, p95 ${report.candidate.latencyP95Ms.toFixed(1)} ms\n`,
    );
    expect(all.legs.lexical).toBeGreaterThanOrEqual(0.68);
    expect(all.legs.dense).toBeGreaterThanOrEqual(0.41);
    expect(report.candidate.ndcgAt10).toBeGreaterThanOrEqual(0.715);
    expect(report.comparison.verdict).toBe('PASS');
    expect(report.legs.rrfAllowed).toBe(false);
  }, 180_000);
});
