import { createEtlLedger } from '../../src/adapters/postgres/etl-ledger.js';
import { createEtlReads } from '../../src/adapters/postgres/etl-reads.js';
import type { LedgerParts } from '../../src/adapters/postgres/etl-rows.js';
import { createFieldCipher } from '../../src/adapters/secrets/field-cipher.js';
import { sha256 } from '../../src/domain/digest.js';
import type { Caller } from '../../src/domain/events/change.js';
import { watchSourceStart } from '../../src/domain/etl/contract.js';
import {
  aclHash,
  chunkId,
  embedTextHash,
  metaHash,
  rawHash,
  type Fingerprint,
} from '../../src/domain/etl/fingerprints.js';
import type {
  ChangeRecord,
  ClaimedDocument,
  Ledger,
  OpenWrite,
  PreparedRevision,
} from '../../src/domain/etl/ledger.js';
import { Secret } from '../../src/domain/secrets.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';

export const collectionId = 'col_01KAJ4Y4G0000000000000000A';
export const live = 'gen_01KAJ4Y4G0000000000000000A';
export const building = 'gen_01KAJ4Y4G0000000000000000B';
export const sourceId = 'src_01KAJ4Y4G0000000000000000A';

const secretOf = (tenant: string): Secret => new Secret(sha256(`key of ${tenant}`));
const cipher = createFieldCipher({
  fieldKey: (tenant) => Promise.resolve({ version: 1, key: secretOf(tenant) }),
});
const keyOf = (tenant: string): Promise<Secret> => Promise.resolve(secretOf(tenant));

/** The workers' caller. */
export const callerOf = (tenant: string): Caller => ({
  tenant,
  actor: { subject: 'workflow:test', kind: 'system', roles: [], via: 'workflow' },
});

/** An upsert of a text, as a source says it. */
export const upsert = (
  naturalKey: string,
  sourceVersion: string,
  more: Partial<ChangeRecord> = {},
): ChangeRecord => ({ naturalKey, kind: 'upsert', sourceVersion, priority: 3, ...more });

/** One chunk a paragraph. */
function revisionOf(
  claimed: ClaimedDocument,
  text: string,
  acl: readonly string[] = ['group:staff'],
): PreparedRevision {
  const seen = new Map<string, number>();
  let at = 0;
  const chunks = text.split('\n\n').map((span) => {
    const start = text.indexOf(span, at);
    at = start + span.length;
    const embedText = `Title\nPath\n${span}`;
    const hash = embedTextHash(embedText);
    const occurrence = seen.get(hash) ?? 0;
    seen.set(hash, occurrence + 1);
    return {
      chunkId: chunkId(claimed.docId, hash, occurrence),
      textHash: hash,
      start,
      end: at,
      page: 0,
      headingPath: ['Path'],
      embedText,
    };
  });
  const fp: Fingerprint = `sha256:${'1'.repeat(64)}`;
  return {
    docId: claimed.docId,
    fence: claimed.fence,
    seq: claimed.change.seq,
    sourceToken: claimed.change.sourceVersion,
    rawHash: rawHash(Buffer.from(text)),
    textHash: rawHash(Buffer.from(`text ${text}`)),
    metaHash: metaHash({}),
    aclHash: aclHash({ acl, deniedPurposes: [] }),
    parseFp: fp,
    chunkFp: fp,
    pipelineFp: fp,
    mediaType: 'text/plain',
    acl: [...acl],
    title: 'Title',
    metadata: {},
    subjects: [],
    text,
    blocks: [],
    findings: {},
    chunks,
  };
}

/** A store that does what it is told, whoever tells it and whenever. */
export class PlainSink {
  readonly rows = new Map<string, { docId: string; text: string }>();
  readonly listedForDeletion = new Set<string>();

  add(write: OpenWrite): void {
    for (const { rowId, embedText } of write.adds) {
      this.rows.set(rowId, { docId: write.docId, text: embedText });
    }
  }

  remove(write: OpenWrite): void {
    for (const rowId of write.deleteRowIds) {
      this.listedForDeletion.add(rowId);
      this.rows.delete(rowId);
    }
  }
}

/** What the tests of the write protocol share: two tenants, one source each, a generation and a store. */
export class LedgerWorld {
  readonly sinks = new Map<string, PlainSink>();
  readonly ledger: Ledger;
  readonly reads: ReturnType<typeof createEtlReads>;
  #batch = 0;
  /** What the ledger itself put into quarantine. */
  readonly quarantined: { stage: string; reason: string }[] = [];

  readonly database: TestDatabase;
  /** What the workers' side of the ledger is made of. */
  readonly parts: LedgerParts;

  constructor(database: TestDatabase) {
    this.database = database;
    const watchStart: LedgerParts['watchStart'] = (source) => watchSourceStart(source);
    const quarantined = (of: { stage: string; reason: string }) => void this.quarantined.push(of);
    this.parts = { db: database.worker, cipher, keyOf, watchStart, quarantined };
    this.ledger = createEtlLedger(this.parts);
    this.reads = createEtlReads({ ...this.parts, db: database.api });
  }

  static async create(): Promise<LedgerWorld> {
    return new LedgerWorld(await createTestDatabase());
  }

  /** Rows as the API makes them; each test has a tenant of its own. */
  async seed(tenant: string, kind = 'webhook'): Promise<void> {
    const run = (sql: string, values: unknown[]) => this.database.asSuperuser(sql, values);
    await run(
      `insert into etl_collection (tenant_id, collection_id, name, pipeline, live_generation_id, acl_default, purposes, created_by)
       values ($1, $2, 'handbook', '{}', $3, '{group:staff}', '{support}', 'prn_x')`,
      [tenant, collectionId, live],
    );
    await this.addGeneration(tenant, live, 'LIVE');
    await run(
      `insert into etl_source (tenant_id, source_id, collection_id, name, kind, config, acl, state, retain_raw, created_by)
       values ($1, $2, $3, 'docs', $4, '{}', '{group:staff}', 'ACTIVE', true, 'prn_x')`,
      [tenant, sourceId, collectionId, kind],
    );
  }

  async addGeneration(tenant: string, generationId: string, state: string): Promise<void> {
    await this.database.asSuperuser(
      `insert into etl_generation (tenant_id, generation_id, collection_id, embedder, embed_spec, embed_fp, dims, sink, state, created_by)
       values ($1, $2, $3, 'hash-384', '{}', 'sha256:0', 384, 'lancedb', $4, 'prn_x')`,
      [tenant, generationId, collectionId, state],
    );
    this.sinks.set(`${tenant}/${generationId}`, new PlainSink());
  }

  sink(tenant: string, generationId: string = live): PlainSink {
    const sink = this.sinks.get(`${tenant}/${generationId}`);
    if (sink === undefined) throw new Error('no such sink');
    return sink;
  }

  record(tenant: string, ...changes: ChangeRecord[]) {
    return this.ledger.recordChanges(callerOf(tenant), sourceId, changes);
  }

  async claim(tenant: string, maxDocuments = 512, batchId = `bat_${++this.#batch}`) {
    const documents = await this.ledger.claimBatch({
      tenant,
      sourceId,
      batchId,
      maxDocuments,
      maxBytes: 4 << 20,
    });
    return { batchId, documents };
  }

  /** INTENT for what was claimed; upserts carry their text as the content reference. */
  async intend(tenant: string, batchId: string, documents: readonly ClaimedDocument[]) {
    const upserts = documents.filter(({ change }) => change.kind === 'upsert');
    const deletes = documents.filter(({ change }) => change.kind === 'delete');
    const revisions = upserts.map((one) =>
      revisionOf(one, one.change.contentRef ?? '', one.change.content?.acl),
    );
    await this.ledger.recordIntents(tenant, batchId, revisions);
    await this.ledger.recordDeletions(
      tenant,
      batchId,
      deletes.map(({ docId, fence, change }) => ({ docId, fence, seq: change.seq })),
    );
    return this.ledger.openWrites(tenant, batchId);
  }

  apply(tenant: string, writes: readonly OpenWrite[]): void {
    for (const write of writes) this.sink(tenant, write.generationId).add(write);
    for (const write of writes) this.sink(tenant, write.generationId).remove(write);
  }

  commit(
    tenant: string,
    batch: { batchId: string; generationIds?: string[] },
    writes: readonly OpenWrite[],
  ) {
    const { batchId, generationIds } = batch;

    const documents = new Map(
      writes.map(({ docId, fence, rev }) => [docId, { docId, fence, rev, generationIds }]),
    );
    return this.ledger.commit(tenant, batchId, [...documents.values()]);
  }

  /** Applies changes in batches of this size until none is left. */
  async drain(tenant: string, size = 512): Promise<void> {
    for (;;) {
      const { batchId, documents } = await this.claim(tenant, size);
      if (documents.length === 0) return;
      const access = documents.filter(({ change }) => change.kind === 'acl');
      await this.ledger.settleAccess(
        tenant,
        batchId,
        access.map(({ docId, fence, change }) => {
          const acl = change.content?.acl ?? [];
          return { docId, fence, acl, aclHash: aclHash({ acl, deniedPurposes: [] }) };
        }),
      );
      const writes = await this.intend(tenant, batchId, documents);
      this.apply(tenant, writes);
      await this.commit(tenant, { batchId }, writes);
    }
  }

  /** What a reader finds: every row of the store that passes the read filter, as text, by document. */
  async read(
    tenant: string,
    more: { principals?: string[]; purpose?: string; generationId?: string } = {},
  ) {
    const { principals = ['group:staff'], purpose = 'support', generationId = live } = more;
    const rows = [...this.sink(tenant, generationId).rows];
    const hits = await this.reads.readFilter(tenant, {
      generationId,
      rowIds: rows.map(([rowId]) => rowId),
      docIds: rows.map(([, { docId }]) => docId),
      principals,
      purpose,
    });
    return hits
      .map((hit) => ({
        ...hit,
        text: this.sink(tenant, generationId).rows.get(hit.rowId)?.text ?? '',
      }))
      .sort((a, b) => a.docId.localeCompare(b.docId) || a.start - b.start);
  }

  /** The texts alone, one document a line. */
  async texts(tenant: string, more: Parameters<LedgerWorld['read']>[1] = {}): Promise<string[]> {
    const byDocument = new Map<string, string[]>();
    for (const { docId, text } of await this.read(tenant, more)) {
      const spans = byDocument.get(docId) ?? [];
      byDocument.set(docId, [...spans, text.slice('Title\nPath\n'.length)]);
    }
    return [...byDocument.values()].map((spans) => spans.join('|')).sort();
  }

  close(): Promise<void> {
    return this.database.close();
  }
}

/** A pushed change with the order that its source gives. */
export const push = (
  key: string,
  seq: number,
  content: string | Partial<ChangeRecord>,
): ChangeRecord =>
  upsert(key, `v${seq}`, {
    seq: BigInt(seq),
    ...(typeof content === 'string' ? { contentRef: content } : content),
  });

/** The one item of a list. @throws where there are more or none */
export const only = <T>(list: readonly T[]): T => {
  const [one] = list;
  if (one === undefined || list.length !== 1) throw new Error(`${list.length} instead of one`);
  return one;
};
