import { createHash } from 'node:crypto';
import { sliceDigits } from '../../domain/etl/check-sink-batch.js';
import { tokens } from '../../domain/etl/tokens.js';
import type { AccessFilter, SinkRow, Slice } from '../../domain/etl/vector-sink.js';
import { PlatformError } from '../../domain/errors.js';

/** Bytes of a string field, and entries of a list, that Milvus takes at most. */
export const maxTextBytes = 65_535;
export const maxListEntries = 4_096;
export const maxKeyBytes = 512;

/** A row as the collection holds it. */
export interface StoredRow {
  pk: string;
  tenant: string;
  doc_id: string;
  embedding: number[];
  body: string;
  /** Stems of the text: the server's own analysis has neither our stemmer nor our stop words. */
  terms: string;
  acl: string;
  access_hash: string;
  metadata: string;
  /** Digests of principals and of metadata fields: filters hold no text of anybody, and need no quoting. */
  readers: string[];
  tags: string[];
}

/** Every field but the one that the server computes. */
export const storedFields = [
  'pk',
  'tenant',
  'doc_id',
  'embedding',
  'body',
  'terms',
  'acl',
  'access_hash',
  'metadata',
  'readers',
  'tags',
] as const satisfies readonly (keyof StoredRow)[];

/** Names that stand in filters as they are. */
const plain = /^[\w-]{1,128}$/;

const mark = (value: string): string =>
  createHash('sha256').update(value).digest('hex').slice(0, 32);

const readersOf = (principals: readonly string[]): string[] => [...new Set(principals)].map(mark);

const tagsOf = (metadata: SinkRow['metadata']): string[] =>
  Object.entries(metadata).map((entry) => mark(JSON.stringify(entry)));

/** @throws SINK_REFUSED where the tenant cannot stand in a filter */
export function assertTenant(tenant: string): void {
  if (!plain.test(tenant))
    throw new PlatformError('SINK_REFUSED', 'A tenant is named by letters, digits, - and _.');
}

const keyOf = (tenant: string, rowId: string): string => `${tenant}/${rowId}`;

export const rowIdOf = (tenant: string, pk: string): string => pk.slice(tenant.length + 1);

function assertFits(rowId: string, stored: StoredRow): void {
  const { doc_id, access_hash, body, terms, acl, metadata, readers, tags } = stored;
  const refuse = (what: string) => {
    throw new PlatformError('SINK_REFUSED', `${what} of row ${rowId} cannot be stored in Milvus.`);
  };
  if (!plain.test(rowId)) refuse('The id');
  for (const [what, value, bytes] of [
    ['The document id', doc_id, maxKeyBytes],
    ['The access hash', access_hash, maxKeyBytes],
    ['The text', body, maxTextBytes],
    ['The words', terms, maxTextBytes],
    ['The access list', acl, maxTextBytes],
    ['The metadata', metadata, maxTextBytes],
  ] as const)
    if (!value.isWellFormed() || Buffer.byteLength(value) > bytes) refuse(what);
  if (readers.length > maxListEntries) refuse('The access list');
  if (tags.length > maxListEntries) refuse('The metadata');
}

/** @throws SINK_REFUSED naming the row whose id, text or lists the store does not take */
export function toStored(tenant: string, row: SinkRow): StoredRow {
  const stored: StoredRow = {
    pk: keyOf(tenant, row.rowId),
    tenant,
    doc_id: row.docId,
    embedding: Array.from(row.vector),
    body: row.text,
    terms: tokens(row.text).join(' '),
    acl: JSON.stringify(row.acl),
    access_hash: row.accessHash,
    metadata: JSON.stringify(row.metadata),
    readers: readersOf(row.acl),
    tags: tagsOf(row.metadata),
  };
  assertFits(row.rowId, stored);
  return stored;
}

export const fromStored = (stored: StoredRow): SinkRow => ({
  rowId: rowIdOf(stored.tenant, stored.pk),
  docId: stored.doc_id,
  vector: Float32Array.from(stored.embedding),
  text: stored.body,
  acl: JSON.parse(stored.acl) as string[],
  accessHash: stored.access_hash,
  metadata: JSON.parse(stored.metadata) as SinkRow['metadata'],
});

const list = (values: readonly string[]): string =>
  `[${values.map((value) => `"${value}"`).join(', ')}]`;

/** Keys of the rows that can be there: no other id is ever stored. */
export const keysOf = (tenant: string, rowIds: readonly string[]): string[] =>
  rowIds.filter((rowId) => plain.test(rowId)).map((rowId) => keyOf(tenant, rowId));

export const whereKeys = (keys: readonly string[]): string => `pk in ${list(keys)}`;

export const whereTenant = (tenant: string): string => `tenant == "${tenant}"`;

/** Rows that a principal may read and whose metadata has the named values. */
export function whereAccess(filter: AccessFilter): string {
  const tags = tagsOf(filter.metadata);
  return [
    whereTenant(filter.tenant),
    `array_contains_any(readers, ${list(readersOf(filter.principals))})`,
    ...(tags.length === 0 ? [] : [`array_contains_all(tags, ${list(tags)})`]),
  ].join(' and ');
}

/** Keys of a slice, first and past the last: `:` is the character after `9`, `g` the one after `f`. */
export function keyRange(tenant: string, slice: Slice): [string, string] {
  const [first, last] = sliceDigits(slice);
  return [keyOf(tenant, first), keyOf(tenant, String.fromCharCode(last.charCodeAt(0) + 1))];
}
