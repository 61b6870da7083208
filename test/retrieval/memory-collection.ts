import { createHash } from 'node:crypto';
import { createRetrieval } from '../../src/activities/retrieval/create-retrieval.js';
import type { RetrievalDeps } from '../../src/activities/retrieval/retrieval-deps.js';
import { PlatformError } from '../../src/domain/errors.js';
import type { Embedder } from '../../src/domain/etl/embedder.js';
import { uuid8 } from '../../src/domain/etl/fingerprints.js';
import { hash384 } from '../../src/domain/etl/hash-384.js';
import type { GenerationFacts } from '../../src/domain/etl/ledger.js';
import type { ReadHit } from '../../src/domain/etl/ledger-reads.js';
import type { VectorSink, VectorStore } from '../../src/domain/etl/vector-sink.js';
import { querySchema, type Query } from '../../src/domain/retrieval/contract.js';
import type { SearchedCollection } from '../../src/domain/retrieval/searched-collection.js';
import { createMemoryStore } from '../etl/memory-store.js';

const idOf = (...parts: unknown[]) =>
  uuid8(createHash('sha256').update(JSON.stringify(parts)).digest('hex'));

/** What the ledger holds of one document. */
export interface LedgerDocument {
  docId: string;
  liveRev: number;
  revisions: Map<number, { text: string; state: 'LIVE' | 'SUPERSEDED' | 'ERASED' | 'EXPIRED' }>;
  acl: string[];
  deniedPurposes: string[];
  hidden: boolean;
  deleted: boolean;
  stale: boolean;
}

export const live: GenerationFacts = {
  ...{ generationId: 'gen_1', collectionId: 'col_01KAJ4Y4G0000000000000000', embedder: 'hash-384' },
  ...{ embedSpec: {}, embedFp: 'sha256:test', dims: 384, sink: 'memory', state: 'LIVE' },
  drifted: false,
};

export const hashEmbedder: Embedder = {
  ...{ id: 'hash-384', embedFp: live.embedFp, dims: 384, memo: false },
  limits: { maxInputs: 256, maxTokensPerInput: 8_192, maxTokensPerRequest: 300_000 },
  embed: (texts) => Promise.resolve(texts.map(hash384)),
};

export const data = {
  tenant: 'acme',
  purpose: 'support',
  reader: { tenant: 'acme', subject: 'prn_a', groups: ['staff'], mayDelegate: false },
};

/** One sentence a line is one chunk. */
const spansOf = (text: string) => {
  let start = 0;
  return text.split('\n').map((line) => {
    const span = { start, end: start + line.length };
    start = span.end + 1;
    return span;
  });
};

const chunksOf = (document: LedgerDocument, rev: number): ReadHit[] =>
  spansOf(document.revisions.get(rev)?.text ?? '').map(({ start, end }, at) => ({
    rowId: idOf('row', document.docId, rev, at),
    chunkId: idOf('chunk', document.docId, rev, at),
    docId: document.docId,
    ...{ rev, start, end, page: 0, chunkAt: at + 1 },
    textHash: 'unused',
    staleSince: document.stale ? '2026-01-01T00:00:00Z' : undefined,
  }));

/** What the ledger decides at read time, as plainly as etl.md §5 READ says it. */
function memoryReads(
  documents: ReadonlyMap<string, LedgerDocument>,
  step: () => void,
): RetrievalDeps['reads'] {
  const visible = (docId: string, by: { principals: readonly string[]; purpose: string }) => {
    const document = documents.get(docId);
    if (document === undefined || document.hidden || document.deleted) return undefined;
    if (!document.acl.some((token) => by.principals.includes(token))) return undefined;
    return document.deniedPurposes.includes(by.purpose) ? undefined : document;
  };

  return {
    readFilter: (tenant, query) => {
      step();
      if (tenant !== data.tenant || query.generationId !== live.generationId)
        return Promise.resolve([]);
      return Promise.resolve(
        query.rowIds.flatMap((rowId, at) => {
          const document = visible(query.docIds[at] ?? '', query);
          if (document === undefined) return [];
          return chunksOf(document, document.liveRev).filter((chunk) => chunk.rowId === rowId);
        }),
      );
    },
    hasRows: () => Promise.resolve([...documents.values()].some(({ liveRev }) => liveRev > 0)),
    readSpans: (_tenant, { spans, ...by }) => {
      step();
      return Promise.resolve(
        spans.map(({ docId, rev, start, end }) => {
          const document = visible(docId, by);
          const revision = document?.revisions.get(rev);
          if (document === undefined || revision === undefined) return { refused: 'NOT_FOUND' };
          if (revision.state === 'ERASED' || revision.state === 'EXPIRED')
            return { refused: `REVISION_${revision.state}` };
          return {
            text: revision.text.slice(start, end),
            ...{ title: `title ${docId}`, headingPath: [] },
            current: rev === document.liveRev,
          };
        }),
      );
    },
  };
}

/** Writes revisions to the store and, unless told otherwise, makes them live. */
const memoryWriter =
  (documents: Map<string, LedgerDocument>, sink: () => VectorSink) =>
  async (
    name: string,
    text: string,
    more: Partial<LedgerDocument> & { commit?: boolean; metadata?: Record<string, string> } = {},
  ): Promise<LedgerDocument> => {
    const docId = idOf('doc', name);
    const { commit = true, metadata = {}, ...facts } = more;
    const document: LedgerDocument = documents.get(docId) ?? {
      ...{ docId, liveRev: 0, revisions: new Map(), acl: ['group:staff'], deniedPurposes: [] },
      ...{ hidden: false, deleted: false, stale: false },
    };
    Object.assign(document, facts);
    const rev = Math.max(0, ...document.revisions.keys()) + 1;
    document.revisions.set(rev, { text, state: 'LIVE' });
    documents.set(docId, document);
    await sink().replaceRows({
      deleteIds: [],
      adds: chunksOf(document, rev).flatMap(({ rowId, start, end }) => {
        const vector = hash384(text.slice(start, end));
        // The store's copy of the access names everyone: only the ledger stands between reader and text.
        const acl = ['public'];
        return vector === undefined
          ? []
          : [{ rowId, docId, vector, text: text.slice(start, end), acl, accessHash: '', metadata }];
      }),
    });
    if (commit) document.liveRev = rev;
    return document;
  };

/**
 * A collection in memory behind the real retrieval. `step` is called before every look at the ledger and after every
 * search: what happens to documents there happens between the parts of one answer.
 */
export function createMemoryCollection(options: { store?: VectorStore; step?: () => void } = {}) {
  const store = options.store ?? createMemoryStore();
  const documents = new Map<string, LedgerDocument>();
  const step = () => options.step?.();
  const collection: SearchedCollection = {
    ...{ collectionId: live.collectionId, purposes: ['support', 'audit'], fusion: 'weighted' },
    ...{ alphaBp: undefined, piiPolicy: {}, live },
    behind: { oldestUnappliedMs: 0, lastCompleteScanAt: undefined },
  };
  const sink = () => store.sink({ tenant: data.tenant, ...live });

  const reads = memoryReads(documents, step);
  const deps: RetrievalDeps = {
    reads,
    findSearched: (tenant, id) =>
      tenant === data.tenant && id === collection.collectionId
        ? Promise.resolve(collection)
        : Promise.reject(new PlatformError('NOT_FOUND', 'no such collection')),
    isApplied: (_tenant, token) => Promise.resolve(token === 'applied'),
    storeOf: () => ({ ...store, sink: (spec) => ({ ...stepping(store, spec, step) }) }),
    embedderOf: () => Promise.resolve(hashEmbedder),
    leaseRate: () => Promise.resolve(),
    scrubQuery: (_tenant, text) => Promise.resolve(text.replaceAll('Ada', 'PERSON_1')),
    freshnessObjectiveMs: 300_000,
  };

  const put = memoryWriter(documents, sink);
  const ask = (text: string, more: Partial<Query> = {}, asking = data.reader) =>
    createRetrieval(deps).query(asking, {
      collectionId: live.collectionId,
      query: querySchema.parse({ text, purpose: data.purpose, ...more }),
      signal: new AbortController().signal,
    });

  return { collection, deps, documents, put, ask, store };
}

function stepping(
  store: VectorStore,
  spec: Parameters<VectorStore['sink']>[0],
  step: () => void,
): ReturnType<VectorStore['sink']> {
  const sink = store.sink(spec);
  return {
    ...sink,
    search: async (query) => {
      const hits = await sink.search(query);
      step();
      return hits;
    },
  };
}
