import { createEtlActivities, type EtlDeps } from '../../src/activities/etl/index.js';
import { sha256Hex } from '../../src/domain/digest.js';
import { PlatformError } from '../../src/domain/errors.js';
import type { Embedder } from '../../src/domain/etl/embedder.js';
import { exceedsDeleteGuard } from '../../src/domain/etl/exceeds-delete-guard.js';
import { rowId } from '../../src/domain/etl/fingerprints.js';
import { hash384, hash384Dims } from '../../src/domain/etl/hash-384.js';
import type {
  ChangePriority,
  ClaimedDocument,
  GenerationFacts,
  OpenWrite,
  PreparedRevision,
  SourceFacts,
} from '../../src/domain/etl/ledger.js';
import { planRows } from '../../src/domain/etl/plan.js';
import type { MissingRow, ScanStanding, SourcePage } from '../../src/domain/etl/scan.js';
import { MemorySink } from './memory-sink.js';
import { plainScrubber } from './plain-scrubber.js';

interface MemoryDocument {
  claimed: ClaimedDocument;
  batch: string | undefined;
  pending: boolean;
  nextRev: number;
  revision: PreparedRevision | undefined;
  intent: OpenWrite | undefined;
  rows: string[];
  state: 'PENDING' | 'LIVE' | 'UNCHANGED' | 'QUARANTINED' | 'DELETED';
  reason?: string | undefined;
}

/** A source with its ledger, store and embedder in memory: enough for the shape of the workflows, no proof of the ledger. */
export class BatchWorld {
  readonly tenant = 'default';
  documents = new Map<string, MemoryDocument>();
  files = new Map<string, string>();
  sourceState: SourceFacts['state'] = 'ACTIVE';
  /** Of the most urgent change that waits. */
  urgency: ChangePriority | undefined;
  sink = new MemorySink();
  embeds = 0;
  embedFails: PlatformError | undefined;
  badText: string | undefined;
  paused: string[] = [];
  batchesAtOnce = 0;
  mostAtOnce = 0;
  embedGate: Promise<void> | undefined;
  pages: SourcePage[] = [];
  listed: string[] = [];
  pageCursors: (string | undefined)[] = [];
  scanDecision: 'APPLY' | 'DISCARD' | undefined;
  scanKnown = 0;
  scanWaitsUntilMs: number | undefined;
  scanFailed: string | undefined;
  /** What listing answers where there is no page. */
  listFails = new PlatformError('SOURCE_UNAVAILABLE', 'no answer');
  missing: MissingRow[] = [];
  /** Documents that something other than a batch holds. */
  readonly reserved = new Set<string>();
  settled: string[] = [];
  readonly generation: GenerationFacts = {
    generationId: 'gen_1',
    collectionId: 'col_1',
    embedder: 'hash-384',
    embedSpec: {},
    embedFp: 'sha256:hash',
    dims: hash384Dims,
    sink: 'memory',
    state: 'LIVE',
    drifted: false,
  };

  get source(): SourceFacts {
    return {
      sourceId: 'src_1',
      collectionId: 'col_1',
      kind: 'folder',
      config: {},
      state: this.sourceState,
      acl: ['group:staff'],
      retainRaw: false,
      pipeline: { chunking: { targetChars: 1200, maxChars: 1600 }, piiPolicy: {} },
    };
  }

  /** A file with this text is there, and the change is recorded. */
  put(key: string, text: string): void {
    this.files.set(key, text);
    this.#record(key, 'upsert');
  }

  remove(key: string): void {
    this.files.delete(key);
    this.#record(key, 'delete');
  }

  /** A worker that stood still claims this document for a batch that has ended without it. */
  claimLate(key: string, batchId: string): void {
    const document = this.documents.get(key);
    if (document) Object.assign(document, { pending: false, batch: batchId });
  }

  #record(key: string, kind: 'upsert' | 'delete'): void {
    const before = this.documents.get(key);
    const docId = before?.claimed.docId ?? sha256Hex(key).slice(0, 32);
    this.documents.set(key, {
      batch: undefined,
      pending: true,
      state: 'PENDING',
      intent: undefined,
      nextRev: before?.nextRev ?? 1,
      rows: before?.rows ?? [],
      revision: before?.revision,
      claimed: {
        docId,
        naturalKey: key,
        fence: before?.claimed.fence ?? 0n,
        acl: [],
        prepared: false,
        inDoubt: false,
        released: [],
        deleted: kind === 'delete',
        change: { kind, sourceVersion: 'v', seq: 1n, receivedAtMs: 0 },
        liveRev: before?.claimed.liveRev,
        hashes: before?.claimed.hashes ?? {},
        standing: { manifests: [], intents: [] },
      },
    });
  }

  /** Documents with a change that a batch could claim. */
  due(): MemoryDocument[] {
    const free = [...this.documents].filter(([key]) => !this.reserved.has(key));
    return free.map(([, document]) => document).filter(({ pending }) => pending);
  }

  /** Documents by how they ended. */
  states(): Record<string, number> {
    const counts: Record<string, number> = {};
    for (const { state } of this.documents.values()) counts[state] = (counts[state] ?? 0) + 1;
    return counts;
  }

  #held(batchId: string): MemoryDocument[] {
    return [...this.documents.values()].filter(({ batch }) => batch === batchId);
  }

  #end(docId: string, state: MemoryDocument['state']): MemoryDocument | undefined {
    const document = [...this.documents.values()].find(({ claimed }) => claimed.docId === docId);
    if (document) Object.assign(document, { batch: undefined, state });
    return document;
  }

  #plan(batchId: string, docId: string, revision: PreparedRevision | undefined): number {
    const document = this.#held(batchId).find(({ claimed }) => claimed.docId === docId);
    if (document === undefined) return 0;
    const rev = document.nextRev++;
    const { generationId } = this.generation;
    const chunkIds = revision?.chunks.map(({ chunkId }) => chunkId) ?? [];
    const old = document.revision?.chunks.map(({ chunkId }) => chunkId) ?? [];
    const manifest = { rowIds: document.rows, chunkIds: old };
    const plan = planRows({ generationId, rev, chunkIds, manifest, open: [], rowId });
    const { addRowIds, deleteRowIds, rowIds } = plan;
    const adds = rowIds.flatMap((id, at) => {
      const chunk = revision?.chunks[at];
      if (!chunk || !addRowIds.includes(id)) return [];
      return [{ rowId: id, textHash: chunk.textHash, embedText: chunk.embedText, page: 0 }];
    });
    const { acl = [], aclHash = '', title = '', metadata = {} } = revision ?? {};
    const { fence } = document.claimed;
    const named = { intentId: `wri_${docId}`, generationId, docId, rev, fence };
    document.intent = {
      ...named,
      rowIds,
      addRowIds,
      deleteRowIds,
      acl,
      aclHash,
      title,
      metadata,
      adds,
    };
    document.rows = rowIds;
    document.revision = revision;
    document.claimed.prepared = true;
    return rev;
  }

  #commit(docId: string): { docId: string } {
    const document = this.#end(docId, 'LIVE');
    if (document) {
      const { revision, intent, claimed } = document;
      document.intent = undefined;
      claimed.liveRev = intent?.rev;
      if (revision === undefined) document.state = 'DELETED';
      const { rawHash: raw, textHash: text, metaHash: meta, aclHash: acl } = revision ?? {};
      const { parseFp, chunkFp } = revision ?? {};
      claimed.hashes = { raw, text, meta, acl, parseFp, chunkFp };
    }
    return { docId };
  }

  #claim(batchId: string, maxDocuments: number): ClaimedDocument[] {
    const held = this.#held(batchId);
    if (held.length > 0) return held.map(({ claimed }) => claimed);
    return this.due()
      .slice(0, maxDocuments)
      .map((document) => {
        document.pending = false;
        document.batch = batchId;
        document.claimed.fence += 1n;
        return document.claimed;
      });
  }

  #ledger(): EtlDeps['ledger'] {
    return {
      findSource: async () => this.source,
      generations: async () => [this.generation],
      claimBatch: async ({ batchId, maxDocuments }) => this.#claim(batchId, maxDocuments),
      renewClaims: async () => undefined,
      findTouched: async () => [],
      settleSameBytes: async () => [],
      settleUnchanged: async (_tenant, _batch, documents) => {
        for (const { docId } of documents) this.#end(docId, 'UNCHANGED');
        return documents.map(({ docId }) => ({ docId }));
      },
      settleAccess: async (_tenant, _batch, documents) => {
        for (const { docId } of documents) this.#end(docId, 'UNCHANGED');
        return documents.map(({ docId }) => ({ docId }));
      },
      copiesBehind: async () => [],
      markCopies: async () => undefined,
      committedRows: async () => [],
      startReconcile: async () => undefined,
      findNearDuplicates: async () => new Map(),
      recordIntents: async (_tenant, batchId, revisions) =>
        revisions.map((revision) => ({
          docId: revision.docId,
          rev: this.#plan(batchId, revision.docId, revision),
        })),
      recordDeletions: async (_tenant, batchId, documents) => {
        for (const { docId } of documents) this.#plan(batchId, docId, undefined);
      },
      openWrites: async (_tenant, batchId) =>
        this.#held(batchId).flatMap(({ intent }) => intent ?? []),
      commit: async (_tenant, _batch, documents) =>
        documents.map(({ docId }) => this.#commit(docId)),
      quarantine: async (_tenant, _batch, stopped) => {
        for (const { docId, reason } of stopped) {
          const document = this.#end(docId, 'QUARANTINED');
          if (document) Object.assign(document, { reason, intent: undefined });
        }
      },
      backlog: async () => {
        const batches = [...this.documents.values()].flatMap(({ batch }) => batch ?? []);
        const behind = [...this.reserved].filter((key) => this.documents.get(key)?.pending);
        const held = batches.length + behind.length;
        const { urgency } = this;
        const holders = [...new Set(batches)];
        return { pending: this.due().length, held, holders, oldestMs: 0, urgency };
      },
      deleteSourcePage: async () => undefined,
      endSource: async () => {
        this.sourceState = 'DELETED';
        return true;
      },
    };
  }

  #embedder(): Embedder {
    return {
      id: 'hash-384',
      embedFp: this.generation.embedFp,
      dims: hash384Dims,
      memo: false,
      limits: { maxInputs: 2048, maxTokensPerInput: 1e6, maxTokensPerRequest: 1e9 },
      embed: async (texts) => {
        if (this.embedFails) throw this.embedFails;
        this.batchesAtOnce += 1;
        this.mostAtOnce = Math.max(this.mostAtOnce, this.batchesAtOnce);
        await this.embedGate;
        this.batchesAtOnce -= 1;
        this.embeds += texts.length;
        return texts.map((text) =>
          this.badText !== undefined && text.includes(this.badText)
            ? new Float32Array(hash384Dims).fill(NaN)
            : hash384(text),
        );
      },
    };
  }

  #scans(): EtlDeps['scans'] {
    const standing = (state: ScanStanding['state'], deletes: number, remainingMs = 0) => ({
      ...{ state, deletes, remainingMs },
      upserts: this.listed.length,
    });
    return {
      recordPage: async (_tenant, _scan, { entries }) => {
        this.listed.push(...entries.map(({ naturalKey }) => naturalKey));
      },
      applyScan: async (_caller, _scan, { minDeletes, decisionMs }) => {
        const deletes = Math.max(0, this.scanKnown - this.listed.length);
        const asked = { deletes, known: this.scanKnown, guardBp: 2_000, minDeletes };
        if (!exceedsDeleteGuard(asked) || this.scanDecision === 'APPLY')
          return standing('APPLIED', deletes);
        this.scanWaitsUntilMs ??= Date.now() + decisionMs;
        const leftMs = this.scanWaitsUntilMs - Date.now();
        if (this.scanDecision === 'DISCARD' || leftMs <= 0) return standing('DISCARDED', 0);
        return standing('WAITING', deletes, leftMs);
      },
      failScan: async (_caller, _scan, code) => void (this.scanFailed = code),
    };
  }

  #reconciles(): EtlDeps['reconciles'] {
    return {
      findGeneration: async () => this.generation,
      compareRows: async (_tenant, _generation, { index }) => ({
        rows: 10,
        orphanRowIds: index === 3 ? ['orphan'] : [],
        missing: index === 5 ? this.missing : [],
        stale: [],
      }),
      recordSlice: async () => undefined,
      settleReconcile: async (_caller, id, { state }) => void this.settled.push(`${id} ${state}`),
    };
  }

  #pull(): ReturnType<EtlDeps['pullSource']> {
    return {
      list: async (_source, { cursor }) => {
        this.pageCursors.push(cursor);
        const page = this.pages[Number(cursor ?? 0)];
        if (page === undefined) throw this.listFails;
        return page;
      },
      read: async (_source, key) => {
        const content = this.files.get(key);
        if (content === undefined) return undefined;
        return { name: key, token: sha256Hex(content), bytes: new TextEncoder().encode(content) };
      },
    };
  }

  deps(): EtlDeps {
    return {
      ledger: this.#ledger(),
      embeddings: {
        findVectors: async () => new Map(),
        saveVectors: async () => undefined,
        leaseTokens: async (_tenant, _fp, { want }) => ({ granted: want, retryAfterMs: 0 }),
      },
      shards: {
        acquireShard: async () => ({ epoch: 1n }),
        renewShard: async () => true,
        releaseShard: async () => undefined,
      },
      scans: this.#scans(),
      reconciles: this.#reconciles(),
      pauseSource: async (_caller, _source, code) => {
        this.paused.push(code);
        this.sourceState = 'PAUSED';
      },
      pullSource: () => this.#pull(),
      readArtifact: async () => new Uint8Array(),
      parser: {
        parse: async (documents) =>
          documents.map(({ id, name, content }) => {
            const text = 'bytes' in content ? new TextDecoder().decode(content.bytes) : '';
            if (text.startsWith('POISON'))
              return { id, refused: { reason: 'parse_failed' as const, evidence: {} } };
            const blocks = [{ kind: 'paragraph' as const, text }];
            const head = { mediaType: 'text/plain', parser: 'test@1', title: name, metadata: {} };
            return { id, result: { ...head, declared: {}, blocks } };
          }),
      },
      chunkTokens: { tokenizer: 'utf8', max: 8_192, count: (text) => Buffer.byteLength(text) },
      scrubber: async () => plainScrubber,
      embedder: async () => this.#embedder(),
      sink: async () => this.sink.port(),
      processId: 'prc_1',
      log: { warn: () => undefined },
    };
  }

  activities(): object {
    return { authoriseStart: async () => undefined, ...createEtlActivities(this.deps()) };
  }
}

/** A text that is long enough to be indexed. */
export const textOf = (topic: string): string =>
  `Everything that the handbook says about ${topic}, in one paragraph of its own.`;
