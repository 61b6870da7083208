import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MockActivityEnvironment } from '@temporalio/testing';
import { createEtlActivities, type EtlDeps } from '../../src/activities/etl/index.js';
import { withCompanion } from '../../src/activities/etl/with-companion.js';
import { createLanceStore } from '../../src/adapters/lancedb/create-lance-store.js';
import {
  createEtlEmbeddings,
  createEtlShards,
} from '../../src/adapters/postgres/etl-embeddings.js';
import { createEtlReconcileLedger } from '../../src/adapters/postgres/etl-reconcile-ledger.js';
import { createEtlScanLedger } from '../../src/adapters/postgres/etl-scan-ledger.js';
import { PlatformError } from '../../src/domain/errors.js';
import type { TokenGuard } from '../../src/domain/etl/chunk-text.js';
import type { BatchCounts } from '../../src/domain/etl/contract.js';
import type { ParsedBlock } from '../../src/domain/etl/document.js';
import type { Embedder } from '../../src/domain/etl/embedder.js';
import { hash384, hash384Dims } from '../../src/domain/etl/hash-384.js';
import type { GenerationFacts, PushedContent } from '../../src/domain/etl/ledger.js';
import type { SinkRow, VectorSink, VectorStore } from '../../src/domain/etl/vector-sink.js';
import { createTestDatabase } from '../support/database.js';
import { LedgerWorld, live, sourceId, upsert } from './ledger-world.js';
import { plainScrubber } from './plain-scrubber.js';

/** A batch that was killed where a test said so. */
export class Killed extends Error {}

/** `# Keys` is a heading of level 1. */
function blockOf(text: string): ParsedBlock {
  const marks = /^(#{1,6}) /.exec(text)?.[1];
  return marks === undefined
    ? { kind: 'paragraph', text }
    : { kind: 'heading', level: marks.length, text };
}

/**
 * Both steps of a batch over Postgres, LanceDB and hash-384. Only the parser is short: a paragraph is a block, some are headings. The store
 * has a lexical companion, so that a replacement takes two steps.
 */
export class WritePathWorld extends LedgerWorld {
  embedded = 0;
  violations: string[] = [];
  unindexed = 0;
  rate: Embedder['rate'];
  chunkTokens: TokenGuard = {
    tokenizer: 'utf8',
    max: 8_192,
    count: (text) => Buffer.byteLength(text),
  };
  /** Tokens, by the guard's count, above which the embedder refuses a text. */
  refusesAbove = Infinity;
  killAt: string | undefined;
  /** Runs where the kill point is, before the kill. */
  atKill: () => Promise<void> = async () => undefined;
  /** Why the store takes no rows at the moment. */
  refusesRows: PlatformError | undefined;
  /** Rows that the store loses in silence. */
  loses: (row: SinkRow) => boolean = () => false;
  #folder = '';
  #stores: VectorStore[] = [];
  #batches = 0;
  #versions = 0;

  static override async create(): Promise<WritePathWorld> {
    const world = new WritePathWorld(await createTestDatabase());
    world.#folder = await mkdtemp(join(tmpdir(), 'anneal-write-path-'));
    const stores = ['vectors', 'words'].map((name) =>
      createLanceStore({ folder: join(world.#folder, name) }),
    );
    world.#stores = stores;
    return world;
  }

  override async seed(tenant: string): Promise<void> {
    await super.seed(tenant);
    const chunking = { targetChars: 200, maxChars: 300 };
    await this.database.asSuperuser(
      `update etl_collection set pipeline = $2 where tenant_id = $1`,
      [tenant, JSON.stringify({ chunking, piiPolicy: {} })],
    );
  }

  /** Pushed documents by key, as the API records them. */
  put(tenant: string, texts: Record<string, string>, content: Partial<PushedContent> = {}) {
    const changes = Object.entries(texts).map(([key, contentRef]) =>
      upsert(key, `v${++this.#versions}`, {
        contentRef,
        content: { name: key, mediaType: 'text/plain', ...content },
      }),
    );
    return this.record(tenant, ...changes);
  }

  store(): VectorStore {
    const [vectors, words] = this.#stores;
    if (vectors === undefined || words === undefined) throw new Error('closed');
    return withCompanion(vectors, words);
  }

  async sinkOf(tenant: string, generationId = live): Promise<VectorSink> {
    const spec = { tenant, generationId, embedFp: 'sha256:0', dims: hash384Dims };
    await this.store().ensureGeneration(spec);
    const sink = this.store().sink(spec);
    const { replaceRows, ...rest } = sink;
    return {
      ...rest,
      replaceRows: async (batch) => {
        if (this.refusesRows !== undefined) throw this.refusesRows;
        return replaceRows({ ...batch, adds: batch.adds.filter((row) => !this.loses(row)) });
      },
    };
  }

  /** Rows of one of the two stores: what a crash in the middle leaves different. */
  async rowsOf(tenant: string, store: 'vectors' | 'words'): Promise<SinkRow[]> {
    const dims = store === 'vectors' ? hash384Dims : 0;
    const at = this.#stores[store === 'vectors' ? 0 : 1];
    const sink = at?.sink({ tenant, generationId: live, embedFp: 'sha256:0', dims });
    const ids: string[] = [];
    for await (const { rowId } of sink?.scanIds({ index: 0, of: 1 }) ?? []) ids.push(rowId);
    return ids.length === 0 || sink === undefined ? [] : sink.fetch(ids);
  }

  #embedder(): Embedder {
    return {
      id: 'hash-384',
      embedFp: 'sha256:0',
      dims: hash384Dims,
      memo: false,
      limits: { maxInputs: 2048, maxTokensPerInput: 1e6, maxTokensPerRequest: 1e9 },
      rate: this.rate,
      embed: async (texts) => {
        for (const text of texts)
          if (this.chunkTokens.count(text) > this.refusesAbove)
            throw new PlatformError('EMBEDDER_REFUSED_INPUT', 'The text is too long.');
        this.embedded += texts.length;
        return texts.map((text) => hash384(text));
      },
    };
  }

  deps(): EtlDeps {
    const { database } = this;
    const db = database.worker;
    const nothing = () => undefined;
    return {
      ledger: this.ledger,
      embeddings: createEtlEmbeddings({ db }),
      shards: createEtlShards({ db }),
      scans: createEtlScanLedger({
        ...this.parts,
        piiOf: async () => ({ policyVersion: 'p1', keyId: 'k1' }),
        chunkTokens: this.chunkTokens,
      }),
      reconciles: createEtlReconcileLedger(this.parts),
      pauseSource: async () => undefined,
      pullSource: nothing,
      readArtifact: async (text) => new TextEncoder().encode(text),
      parser: {
        parse: async (documents) =>
          documents.map(({ id, name, content }) => {
            const text = 'bytes' in content ? new TextDecoder().decode(content.bytes) : '';
            // Who may read it stands in its first line, as in front matter.
            const [, acl, body = text] = /^acl: (.*)\n([^]*)$/.exec(text) ?? [];
            const blocks = body.split('\n\n').map(blockOf);
            const head = { mediaType: 'text/plain', parser: 'test@1', title: name, metadata: {} };
            return {
              id,
              result: { ...head, declared: acl ? { acl: acl.split(' ') } : {}, blocks },
            };
          }),
      },
      chunkTokens: this.chunkTokens,
      scrubber: async () => plainScrubber,
      embedder: async () => this.#embedder(),
      sink: (tenant, { generationId }: GenerationFacts) => this.sinkOf(tenant, generationId),
      processId: 'prc_1',
      observe: {
        applied: nothing,
        quarantined: nothing,
        stage: nothing,
        memoHits: nothing,
        embedded: nothing,
        chunksChanged: nothing,
        violation: (kind) => void this.violations.push(kind),
        unindexed: (chunks) => void (this.unindexed += chunks),
      },
      failpoint: async (name) => {
        if (name !== this.killAt) return;
        this.killAt = undefined;
        await this.atKill();
        throw new Killed(name);
      },
      log: { warn: nothing },
    };
  }

  /** One batch through both steps, or one of them again. */
  async run(tenant: string, batchId = `bat_${++this.#batches}`): Promise<BatchCounts> {
    const { prepareBatch, embedAndWriteBatch } = createEtlActivities(this.deps());
    const step = <I, R>(work: (input: I) => Promise<R>, input: I): Promise<R> =>
      new MockActivityEnvironment().run<[I], R, (input: I) => Promise<R>>(work, input);
    const claim = { maxDocuments: 512, maxBytes: 4 << 20, lingerMs: 0 };
    const prepared = await step(prepareBatch, { tenant, sourceId, batchId, claim });
    const { counts } = await step(embedAndWriteBatch, { tenant, sourceId, batchId });
    return {
      claimed: prepared.claimed,
      indexed: counts.indexed,
      unchanged: prepared.unchanged,
      deleted: counts.deleted,
      quarantined: prepared.quarantined + counts.quarantined,
      lost: counts.lost,
    };
  }

  rows(tenant: string, sql: string): Promise<Record<string, unknown>[]> {
    return this.database.asSuperuser(`${sql.replaceAll('$tenant', `'${tenant}'`)}`);
  }

  override async close(): Promise<void> {
    for (const store of this.#stores) await store.close();
    await rm(this.#folder, { recursive: true, force: true });
    await super.close();
  }
}
