import type { EtlDeps } from '../../src/activities/etl/index.js';
import { chunkFp, docId, rowId } from '../../src/domain/etl/fingerprints.js';
import type {
  ChangeKind,
  ClaimedDocument,
  GenerationFacts,
  OpenWrite,
  PreparedRevision,
  SourceFacts,
} from '../../src/domain/etl/ledger.js';
import { planRows } from '../../src/domain/etl/plan.js';
import type { SourceState } from './corpus.js';
import { embedFpOf } from './metered-embedder.js';
import { chunkingOf } from './our-engine.js';

/** A document as a page of a scan lists it. */
interface Listed {
  naturalKey: string;
  token: string;
}

/** One document in a ledger of maps. */
interface MemoryDocument {
  docId: string;
  naturalKey: string;
  fence: bigint;
  rev: number;
  live: PreparedRevision | undefined;
  liveRev: number | undefined;
  next: PreparedRevision | undefined;
  token: string | undefined;
  rawHash: string | undefined;
  acl: string[] | undefined;
  aclHash: string | undefined;
  manifests: Map<string, { rev: number; rowIds: string[]; chunkIds: string[] }>;
  change: ClaimedDocument['change'] | undefined;
}

const key = new Uint8Array(32).fill(7);
const tenant = 'bench';
const sourceId = 'src_bench';

/**
 * The ledger of the engine alone: the same planning over maps, for one process that never ends. It holds no claim that
 * could be lost and nothing in doubt, so it says nothing about either.
 */
export class MemoryLedger {
  readonly tenant = tenant;
  readonly sourceId = sourceId;
  readonly documents = new Map<string, MemoryDocument>();
  generations: GenerationFacts[] = [];
  chunkChars = 800;
  #due = new Map<string, ClaimedDocument['change']>();
  #listed = new Map<string, string>();
  #held = new Map<string, MemoryDocument[]>();
  #writes = new Map<string, OpenWrite[]>();
  #copies: MemoryDocument[] = [];

  constructor() {
    this.beginGeneration('v1');
    this.flip(this.generations[0]?.generationId ?? '');
  }

  beginGeneration(version: SourceState['embedder']): string {
    const generationId = `gen_${version}`;
    this.generations.push({
      generationId,
      collectionId: 'col_bench',
      embedder: 'hash-384',
      embedSpec: {},
      embedFp: embedFpOf(version),
      dims: 384,
      sink: 'memory',
      state: 'BUILDING',
      drifted: false,
    });
    return generationId;
  }

  flip(generationId: string): void {
    this.generations = this.generations
      .filter((one) => one.generationId === generationId)
      .map((one) => ({ ...one, state: 'LIVE' }));
  }

  #source(): SourceFacts {
    return {
      sourceId,
      collectionId: 'col_bench',
      kind: 'folder',
      config: {},
      state: 'ACTIVE',
      acl: ['group:staff'],
      retainRaw: false,
      pipeline: { chunking: chunkingOf(this.chunkChars), piiPolicy: {} },
    };
  }

  #find(naturalKey: string): MemoryDocument {
    const id = docId(key, sourceId, naturalKey);
    const known = this.documents.get(id);
    if (known !== undefined) return known;
    const made: MemoryDocument = {
      docId: id,
      naturalKey,
      fence: 0n,
      rev: 0,
      live: undefined,
      liveRev: undefined,
      next: undefined,
      token: undefined,
      rawHash: undefined,
      acl: undefined,
      aclHash: undefined,
      manifests: new Map(),
      change: undefined,
    };
    this.documents.set(id, made);
    return made;
  }

  #record(naturalKey: string, kind: ChangeKind): void {
    const sourceVersion = this.#listed.get(naturalKey) ?? '';
    this.#due.set(naturalKey, { kind, sourceVersion, seq: 1n, receivedAtMs: 0 });
  }

  readonly scans: EtlDeps['scans'] = {
    recordPage: async (_tenant, _scan, { entries }) => {
      for (const { naturalKey, token } of entries) this.#listed.set(naturalKey, token);
    },
    applyScan: async () => {
      const { targetChars: target, maxChars: max } = chunkingOf(this.chunkChars);
      const now = chunkFp({ target, max });
      let at = 0;
      for (const [naturalKey, token] of this.#listed) {
        const { token: known, live } = this.#find(naturalKey);
        const isSample = at++ % 100 === 0;
        if (known !== token || live?.chunkFp !== now || isSample)
          this.#record(naturalKey, 'upsert');
      }
      for (const { naturalKey, live } of this.documents.values())
        if (live !== undefined && !this.#listed.has(naturalKey)) this.#record(naturalKey, 'delete');
      this.#listed.clear();
      return { state: 'APPLIED', upserts: this.#due.size, deletes: 0, remainingMs: 0 };
    },
    failScan: async () => undefined,
  };

  #claim(batchId: string, maxDocuments: number): MemoryDocument[] {
    const claimed: MemoryDocument[] = [];
    for (const [naturalKey, change] of this.#due) {
      if (claimed.length === maxDocuments) break;
      this.#due.delete(naturalKey);
      const document = this.#find(naturalKey);
      document.fence += 1n;
      document.change = change;
      claimed.push(document);
    }
    this.#held.set(batchId, claimed);
    return claimed;
  }

  #claimed(document: MemoryDocument): ClaimedDocument {
    const { live, change, manifests, token, rawHash, aclHash } = document;
    return {
      docId: document.docId,
      naturalKey: document.naturalKey,
      fence: document.fence,
      change: change ?? { kind: 'upsert', sourceVersion: '', seq: 1n, receivedAtMs: 0 },
      deleted: false,
      liveRev: document.liveRev,
      acl: document.acl ?? [],
      hashes: {
        sourceToken: token,
        raw: rawHash,
        text: live?.textHash,
        meta: live?.metaHash,
        acl: aclHash,
        parseFp: live?.parseFp,
        chunkFp: live?.chunkFp,
      },
      standing: {
        manifests: [...manifests].map(([generationId, one]) => ({ generationId, ...one })),
        intents: [],
      },
      released: [],
      prepared: false,
      inDoubt: false,
    };
  }

  /** One write per generation: what the plan of the next revision adds and deletes there. */
  #plan(batchId: string, document: MemoryDocument, revision: PreparedRevision | undefined): number {
    document.next = revision;
    const rev = (document.rev += 1);
    for (const { generationId } of this.generations)
      this.#write(batchId, { document, revision, generationId, rev });
    return rev;
  }

  #write(
    batchId: string,
    of: {
      document: MemoryDocument;
      revision: PreparedRevision | undefined;
      generationId: string;
      rev: number;
    },
  ): void {
    const { document, revision, generationId, rev } = of;
    const chunks = revision?.chunks ?? [];
    const chunkIds = chunks.map(({ chunkId }) => chunkId);
    const manifest = document.manifests.get(generationId);
    const plan = planRows({ generationId, rev, chunkIds, manifest, open: [], rowId });
    const added = new Set(plan.addRowIds);
    document.manifests.set(generationId, { rev, rowIds: plan.rowIds, chunkIds });
    const writes = this.#writes.get(batchId) ?? [];
    this.#writes.set(batchId, writes);
    writes.push({
      intentId: `${document.docId}/${rev}`,
      generationId,
      docId: document.docId,
      rev,
      fence: document.fence,
      ...plan,
      acl: revision?.acl ?? [],
      aclHash: revision?.aclHash ?? '',
      title: revision?.title ?? '',
      metadata: revision?.metadata ?? {},
      adds: plan.rowIds.flatMap((id, at) => {
        const chunk = chunks[at];
        if (chunk === undefined || !added.has(id)) return [];
        const { textHash, embedText, page } = chunk;
        return [{ rowId: id, textHash, embedText, page }];
      }),
    });
  }

  /** Documents that the building generation does not hold yet. */
  claimLagging(generationId: string, batchId: string): number {
    const lagging = [...this.documents.values()]
      .filter(({ live, manifests }) => live !== undefined && !manifests.has(generationId))
      .slice(0, 512);
    this.#held.set(batchId, lagging);
    for (const document of lagging) {
      document.next = document.live;
      const rev = document.liveRev ?? 1;
      this.#write(batchId, { document, revision: document.live, generationId, rev });
    }
    return lagging.length;
  }

  readonly #functions: Partial<EtlDeps['ledger']> = {
    findSource: async () => this.#source(),
    generations: async () => this.generations,
    claimBatch: async ({ batchId, maxDocuments }) =>
      this.#claim(batchId, maxDocuments).map((document) => this.#claimed(document)),
    renewClaims: async () => undefined,
    findTouched: async (_tenant: string, _source: string, listed: readonly Listed[]) =>
      listed
        .filter(({ naturalKey, token }) => {
          const { live, token: known } = this.#find(naturalKey);
          return live !== undefined && known !== token;
        })
        .map(({ naturalKey }) => naturalKey),
    settleSameBytes: async (
      _tenant: string,
      { pipelineFps }: { pipelineFps: readonly string[] },
      read: readonly (Listed & { rawHash: string })[],
    ) =>
      read
        .filter(({ naturalKey, token, rawHash }) => {
          const document = this.#find(naturalKey);
          const { live } = document;
          if (live === undefined || document.rawHash !== rawHash) return false;
          if (!pipelineFps.includes(live.pipelineFp)) return false;
          document.token = token;
          return true;
        })
        .map(({ naturalKey }) => naturalKey),
    settleUnchanged: async (_tenant, _batch, documents) =>
      documents.map(({ docId: id, sourceToken, rawHash, chunkFp: chunk }) => {
        const document = this.documents.get(id);
        if (document === undefined) return { docId: id };
        document.token = sourceToken;
        document.rawHash = rawHash ?? document.rawHash;
        if (document.live !== undefined && chunk !== undefined) document.live.chunkFp = chunk;
        return { docId: id };
      }),
    settleAccess: async (_tenant, _batch, documents) =>
      documents.map(({ docId: id, acl, aclHash }) => {
        const document = this.documents.get(id);
        if (document !== undefined) {
          Object.assign(document, { acl, aclHash });
          this.#copies.push(document);
        }
        return { docId: id };
      }),
    recordIntents: async (_tenant, batchId, revisions) =>
      revisions.map((revision) => {
        const document = this.documents.get(revision.docId);
        const rev = document === undefined ? 0 : this.#plan(batchId, document, revision);
        return { docId: revision.docId, rev };
      }),
    recordDeletions: async (_tenant, batchId, documents) => {
      for (const { docId: id } of documents) {
        const document = this.documents.get(id);
        if (document !== undefined) this.#plan(batchId, document, undefined);
      }
    },
    openWrites: async (_tenant, batchId) => this.#writes.get(batchId) ?? [],
    commit: async (_tenant, batchId, documents) => {
      this.#writes.delete(batchId);
      return documents.map(({ docId: id, rev }) => {
        const document = this.documents.get(id);
        if (document !== undefined) this.#commit(document, rev);
        return { docId: id };
      });
    },
    copiesBehind: async (_tenant, generationId, limit) =>
      this.#copies.splice(0, limit).map(({ docId: id, rev, manifests, acl, aclHash }) => ({
        docId: id,
        rev,
        rows: (manifests.get(generationId)?.rowIds ?? []).map((row) => ({ rowId: row, page: 0 })),
        acl: acl ?? [],
        aclHash: aclHash ?? '',
        metadata: undefined,
        metaHash: '',
      })),
    markCopies: async () => undefined,
    committedRows: async () => [],
    startReconcile: async () => undefined,
    findNearDuplicates: async () => new Map(),
    quarantine: async (_tenant, _batch, stopped) => {
      const [first] = stopped;
      if (first !== undefined) throw new Error(`quarantined: ${first.reason}`);
    },
    backlog: async () => ({ pending: this.#due.size, held: 0, holders: [], oldestMs: 0 }),
    endSource: async () => false,
  };

  /** As far as pages and batches of one source ask. */
  port(): EtlDeps['ledger'] {
    const functions: object = this.#functions;
    return functions as EtlDeps['ledger'];
  }

  #commit(document: MemoryDocument, rev: number): void {
    const { next } = document;
    document.live = next;
    document.liveRev = next === undefined ? undefined : rev;
    document.token = next?.sourceToken;
    document.rawHash = next?.rawHash;
    document.acl = next?.acl;
    document.aclHash = next?.aclHash;
    if (next === undefined) this.documents.delete(document.docId);
  }
}
