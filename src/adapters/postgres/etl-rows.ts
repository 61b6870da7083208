import type { Secret } from '../../domain/secrets.js';
import type { StartRequest } from '../../domain/events/contract.js';
import { aclHash } from '../../domain/etl/fingerprints.js';
import type { Standing } from '../../domain/etl/ledger.js';
import type { Database, Query, SqlRow } from './database.js';

/** The row that a sealed value is bound to. */
interface SealOwner {
  tenant: string;
  table: string;
  column: string;
  rowId: string;
}

/** What the ledger is made of. */
export interface LedgerParts {
  db: Database;
  cipher: {
    encrypt: (owner: SealOwner, plain: Uint8Array | string) => Promise<Buffer>;
    decrypt: (owner: SealOwner, sealed: Uint8Array) => Promise<Buffer>;
  };
  /** The tenant's id key. */
  keyOf: (tenant: string) => Promise<Secret>;
  /** How the watcher of a source is started where it does not run. */
  watchStart: (source: { tenant: string; sourceId: string; name: string }) => StartRequest;
  /** Told, once it is committed, of each document that the ledger itself put into quarantine. */
  quarantined?: ((of: { stage: string; reason: string }) => void) | undefined;
}

/** The sealed columns of the ledger. */
export const sealed = {
  naturalKey: (tenant: string, docId: string): SealOwner => ({
    tenant,
    table: 'etl_document',
    column: 'natural_key_enc',
    rowId: docId,
  }),
  /** A change that comes again keeps its row, so the row is named by what makes it the same change. */
  content: (tenant: string, change: string): SealOwner => ({
    tenant,
    table: 'etl_change_event',
    column: 'content_enc',
    rowId: change,
  }),
  revision: (
    column: 'head_enc' | 'text_enc' | 'blocks_enc',
    of: { tenant: string; docId: string; rev: number },
  ): SealOwner => ({
    tenant: of.tenant,
    table: 'etl_revision',
    column,
    rowId: `${of.docId}/${of.rev}`,
  }),
  paths: (of: { tenant: string; docId: string; rev: number }): SealOwner => ({
    tenant: of.tenant,
    table: 'etl_chunk_list',
    column: 'paths_enc',
    rowId: `${of.docId}/${of.rev}`,
  }),
};

/** Title, metadata and subjects of a revision, as sealed. */
export interface RevisionHead {
  title: string;
  metadata: Record<string, unknown>;
  subjects: string[];
}

/** Heading path of a chunk, and its embedded text: what precedes the span, or the whole where the span is not its end. */
export type ChunkPath = [path: string[], lead: string, whole: 0 | 1];

export const readJson = <T>(bytes: Buffer): T => JSON.parse(bytes.toString('utf8')) as T;

/** An array literal of Postgres for values that need no quotes: ids and digests. */
export const literal = (values: readonly (string | number)[]): string => `{${values.join(',')}}`;

/**
 * The hash of a list that a store gets. It is the document's own `acl_hash` only where nothing is waiting that narrows
 * access: recording such a change narrows the list at once (W4), the hash stays that of what was committed.
 */
export const hashOfCopy = (acl: readonly string[]): string => aclHash({ acl, deniedPurposes: [] });

export const optional = (value: unknown): string | undefined =>
  typeof value === 'string' ? value : undefined;

/** Calls of `work` for all items at once, which is how sealing keeps up: each is short and none waits for another. */
export const all = <T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> =>
  Promise.all(items.map(work));

/** Rows of one document. */
export function grouped(rows: readonly SqlRow[]): Map<string, SqlRow[]> {
  const groups = new Map<string, SqlRow[]>();
  for (const row of rows) {
    const id = String(row.doc_id);
    const group = groups.get(id);
    if (group === undefined) groups.set(id, [row]);
    else group.push(row);
  }
  return groups;
}

/** A document's standing with the batch of each open intent. */
export interface HeldStanding extends Standing {
  /** `seq`: the change that the intent carries out; undefined for a deletion, which is the same whatever asked for it. */
  intents: (Standing['intents'][number] & { batchId: string; seq: bigint | undefined })[];
}

/**
 * Runs a statement each of whose tables is bounded to the batch by itself. A tenant that statistics do not know yet is
 * estimated at one row, and nested loops over a batch are then quadratic: such a statement joins by hash.
 */
export async function bounded(query: Query, sql: string, values: unknown[]): Promise<SqlRow[]> {
  await query('set local enable_nestloop = off');
  const rows = await query(sql, values);
  await query('set local enable_nestloop = on');
  return rows;
}

/** A bigint, which comes as text; undefined where there is none. */
export const bigintOf = (value: unknown): bigint | undefined =>
  typeof value === 'string' ? BigInt(value) : undefined;

/** Manifests and open intents of documents, by document. */
export async function loadStanding(
  query: Query,
  tenant: string,
  docIds: readonly string[],
): Promise<Map<string, HeldStanding>> {
  const manifests = await bounded(
    query,
    `select m.doc_id, m.generation_id, m.rev, m.row_ids, l.chunk_ids from etl_manifest m
     join etl_chunk_list l on l.tenant_id = m.tenant_id and l.doc_id = m.doc_id and l.rev = m.rev
     where m.tenant_id = $1 and m.doc_id = any($2::uuid[]) and l.doc_id = any($2::uuid[])`,
    [tenant, docIds],
  );
  const intents = await bounded(
    query,
    `select i.intent_id, i.doc_id, i.generation_id, i.rev, i.batch_id, i.row_ids, i.add_row_ids, i.delete_row_ids, r.seq
     from etl_intent i
     left join etl_revision r on r.tenant_id = $1 and r.doc_id = any($2::uuid[]) and r.doc_id = i.doc_id and r.rev = i.rev
     where i.tenant_id = $1 and i.doc_id = any($2::uuid[]) and i.state = 'OPEN'`,
    [tenant, docIds],
  );
  const manifestsOf = grouped(manifests);
  const intentsOf = grouped(intents);
  return new Map(
    docIds.map((docId) => [
      docId,
      {
        manifests: (manifestsOf.get(docId) ?? []).map((row) => ({
          generationId: String(row.generation_id),
          rev: Number(row.rev),
          rowIds: row.row_ids as string[],
          chunkIds: row.chunk_ids as string[],
        })),
        intents: (intentsOf.get(docId) ?? []).map((row) => ({
          intentId: String(row.intent_id),
          generationId: String(row.generation_id),
          rev: Number(row.rev),
          batchId: String(row.batch_id),
          seq: bigintOf(row.seq),
          rowIds: row.row_ids as string[],
          addRowIds: row.add_row_ids as string[],
          deleteRowIds: row.delete_row_ids as string[],
        })),
      },
    ]),
  );
}

/** The revision after the live one that was begun last; 0 where none is in doubt. */
export const begunRev = (standing: Standing, liveRev: number | undefined): number =>
  Math.max(0, ...standing.intents.map(({ rev }) => rev).filter((rev) => rev > (liveRev ?? 0)));
