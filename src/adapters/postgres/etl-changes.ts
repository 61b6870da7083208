import { sha256Hex } from '../../domain/digest.js';
import { PlatformError } from '../../domain/errors.js';
import type { Caller, Change, Outcome } from '../../domain/events/change.js';
import { docId } from '../../domain/etl/fingerprints.js';
import { keyHash } from '../../domain/etl/key-hash.js';
import type { Ledger, SubmittedChange } from '../../domain/etl/ledger.js';
import { narrowAccess } from '../../domain/etl/narrow-access.js';
import type { SqlRow, Tx } from './database.js';
import { all, sealed, type LedgerParts } from './etl-rows.js';
import { mutate } from './mutate.js';
import { newId } from './new-id.js';

type Recorded = { recorded: number; changeToken: string };

/** A change with its ids, before the order among its document's changes is known. */
interface Arrival {
  change: SubmittedChange;
  docId: string;
  keyHash: string;
  naturalKeyEnc: string;
  contentEnc: string | undefined;
}

/** The row name that a change's content is sealed for. */
export const contentRow = (of: { keyHash: string; kind: string; sourceVersion: string }): string =>
  `${of.keyHash}/${of.kind}/${sha256Hex(of.sourceVersion)}`;

async function arrivalOf(
  parts: LedgerParts,
  of: { tenant: string; sourceId: string; key: Uint8Array },
  change: SubmittedChange,
): Promise<Arrival> {
  const { tenant, sourceId, key } = of;
  const id = docId(key, sourceId, change.naturalKey);
  const hash = keyHash(key, sourceId, change.naturalKey);
  const owner = sealed.naturalKey(tenant, id);
  const naturalKeyEnc = await parts.cipher.encrypt(owner, change.naturalKey);
  const contentEnc =
    change.content === undefined
      ? undefined
      : await parts.cipher.encrypt(
          sealed.content(tenant, contentRow({ ...change, keyHash: hash })),
          JSON.stringify(change.content),
        );
  return {
    change,
    docId: id,
    keyHash: hash,
    naturalKeyEnc: naturalKeyEnc.toString('base64'),
    contentEnc: contentEnc?.toString('base64'),
  };
}

/** A source whose versions are states and not deliveries: the same one again may be a return to it. */
const comesAgain = (kind: unknown): boolean => kind === 'folder' || kind === 'upload';

/** Where the newest change of a document stands, as far as is known. */
interface DocumentOrder {
  contentSeq: bigint;
  aclSeq: bigint;
  acl: string[];
}

async function lockDocuments(
  tx: Tx,
  tenant: string,
  ids: readonly string[],
): Promise<Map<string, DocumentOrder>> {
  // Always in order of the id: a commit locks the same rows the same way.
  await tx.$queryRawUnsafe(
    `select 1 from etl_document where tenant_id = $1 and doc_id = any($2::uuid[]) order by doc_id for update`,
    tenant,
    ids,
  );
  const rows = await tx.$queryRawUnsafe<SqlRow[]>(
    `select d.doc_id::text, d.acl, greatest(d.seq, c.content_seq)::text as content_seq, c.acl_seq::text
     from etl_document d cross join lateral (
       select coalesce(max(e.seq) filter (where e.kind <> 'acl'), 0) as content_seq,
              coalesce(max(e.seq) filter (where e.kind = 'acl'), 0) as acl_seq
       from etl_change_event e where e.tenant_id = d.tenant_id and e.doc_id = d.doc_id and e.state <> 'SUPERSEDED') c
     where d.tenant_id = $1 and d.doc_id = any($2::uuid[])`,
    tenant,
    ids,
  );
  return new Map(
    rows.map((row) => [
      String(row.doc_id),
      {
        contentSeq: BigInt(String(row.content_seq)),
        aclSeq: BigInt(String(row.acl_seq)),
        acl: row.acl as string[],
      },
    ]),
  );
}

/** Which of these documents were erased for good: only deletions of them are taken. */
async function findSuppressed(
  tx: Tx,
  tenant: string,
  ids: readonly string[],
): Promise<Set<string>> {
  const rows = await tx.$queryRawUnsafe<SqlRow[]>(
    `select hmac from etl_suppression where tenant_id = $1 and kind = 'document' and hmac = any($2::text[])`,
    tenant,
    ids,
  );
  return new Set(rows.map((row) => String(row.hmac)));
}

const isBarred = (suppressed: Set<string>, { docId, change }: Arrival): boolean =>
  change.kind !== 'delete' && suppressed.has(docId);

/**
 * Gives every arrival its place in the order; what is older than something known is superseded from the start, and what
 * was erased is kept as suppressed.
 */
function ordered(
  arrivals: readonly Arrival[],
  of: { known: Map<string, DocumentOrder>; suppressed: Set<string>; nextSeq: bigint },
): { rows: Record<string, unknown>[]; nextSeq: bigint } {
  const { known, suppressed } = of;
  let next = of.nextSeq;
  const rows = arrivals.map((arrival) => {
    const { change } = arrival;
    const order = known.get(arrival.docId) ?? { contentSeq: 0n, aclSeq: 0n, acl: [] };
    const before = change.kind === 'acl' ? order.aclSeq : order.contentSeq;
    let seq = change.seq;
    if (seq === undefined) {
      seq = next > before ? next : before + 1n;
      next += 1n;
    }
    const barred = isBarred(suppressed, arrival);
    const late = barred || seq < before;
    if (!late && change.kind === 'acl') order.aclSeq = seq;
    if (!late && change.kind !== 'acl') order.contentSeq = seq;
    return {
      changeId: newId('change'),
      docId: arrival.docId,
      keyHash: arrival.keyHash,
      kind: change.kind,
      sourceVersion: change.sourceVersion,
      seq: seq.toString(),
      contentRef: change.contentRef ?? null,
      contentEnc: arrival.contentEnc ?? null,
      bytes: change.bytes ?? null,
      changedAt: change.changedAtMs ?? null,
      priority: change.priority,
      state: barred ? 'SUPPRESSED' : late ? 'SUPERSEDED' : 'PENDING',
    };
  });
  return { rows, nextSeq: next };
}

const insertDocuments = `
  insert into etl_document (tenant_id, doc_id, source_id, collection_id, key_hash, natural_key_enc, acl, denied_purposes)
  select distinct on (c."docId") $1, c."docId", $2, $3, c."keyHash", decode(c."naturalKeyEnc", 'base64'), c.acl, '{}'
  from jsonb_to_recordset($4::jsonb) as c("docId" uuid, "keyHash" text, "naturalKeyEnc" text, acl text[])
  order by c."docId"
  on conflict do nothing`;

/** A later state is on its way: the earlier one that arrives again is what the source returned to. */
const isOvertaken = `exists (select from etl_change_event n where n.tenant_id = e.tenant_id and n.doc_id = e.doc_id
  and n.kind <> 'acl' and n.state in ('PENDING', 'CLAIMED') and n.seq > e.seq)`;

const insertChanges = `
  insert into etl_change_event as e (tenant_id, change_id, source_id, doc_id, key_hash, kind, source_version, seq,
    content_ref, content_enc, bytes, changed_at, priority, state)
  select $1, c."changeId", $2, c."docId", c."keyHash", c.kind, c."sourceVersion", c.seq, c."contentRef",
    decode(c."contentEnc", 'base64'), c.bytes, to_timestamp(c."changedAt" / 1000.0), c.priority, c.state
  from jsonb_to_recordset($3::jsonb) as c("changeId" text, "docId" uuid, "keyHash" text, kind text, "sourceVersion" text,
    seq bigint, "contentRef" text, "contentEnc" text, bytes int, "changedAt" double precision, priority int, state text)
  order by c.seq
  on conflict (tenant_id, doc_id, kind, source_version) do update
    set state = 'PENDING', seq = excluded.seq, content_ref = excluded.content_ref, content_enc = excluded.content_enc,
      bytes = excluded.bytes, changed_at = excluded.changed_at, received_at = now(), priority = excluded.priority,
      batch_id = null, applied_at = null
    where $4 and excluded.state = 'PENDING' and (e.state = 'PENDING' and ${isOvertaken} or e.state in ('APPLIED', 'SUPERSEDED')
      and (e.kind = 'acl' or ${isOvertaken} or exists (select from etl_document d where d.tenant_id = e.tenant_id and d.doc_id = e.doc_id
        and case when e.kind = 'delete' then d.deleted_at is null
            else d.deleted_at is not null or d.source_token is distinct from e.source_version end)))
  returning e.change_id, e.doc_id::text, e.kind, e.key_hash, e.source_version, e.state`;

/** Changes that a batch is applying while a later one waits: arriving again, the source has returned to them. */
const findOvertakenClaims = `
  select e.key_hash, e.kind, e.source_version from etl_change_event e
  where e.tenant_id = $1 and e.doc_id = any($2::uuid[]) and e.state = 'CLAIMED' and e.kind <> 'acl' and ${isOvertaken}`;

/**
 * Arrivals of an upload source, those that return to a change which a batch holds under a version of their own: the row
 * of that change belongs to the batch until it ends.
 */
async function withReturns(
  parts: LedgerParts,
  tx: Tx,
  { tenant, sourceId, arrivals, key }: Call,
): Promise<Arrival[]> {
  const ids = [...new Set(arrivals.map((arrival) => arrival.docId))];
  const held = await tx.$queryRawUnsafe<SqlRow[]>(findOvertakenClaims, tenant, ids);
  if (held.length === 0) return arrivals;
  const names = new Set(held.map((row) => contentRow(named(row))));
  return all(arrivals, async (arrival) => {
    const { change } = arrival;
    if (!names.has(contentRow({ ...change, keyHash: arrival.keyHash }))) return arrival;
    const sourceVersion = `${change.sourceVersion}~${newId('change')}`;
    return arrivalOf(parts, { tenant, sourceId, key }, { ...change, sourceVersion });
  });
}

/** W4: deletions hide and narrowed access holds, before anything else is done about them. */
async function holdAtOnce(
  tx: Tx,
  tenant: string,
  of: { arrivals: Map<string, Arrival>; effective: SqlRow[]; known: Map<string, DocumentOrder> },
): Promise<void> {
  const deleted = of.effective.filter((row) => row.kind === 'delete').map((row) => row.doc_id);
  if (deleted.length > 0) {
    await tx.$executeRawUnsafe(
      `update etl_document set deleted_at = coalesce(deleted_at, now()), updated_at = now()
       where tenant_id = $1 and doc_id = any($2::uuid[])`,
      tenant,
      deleted,
    );
  }
  const narrowed = new Map<string, string[]>();
  for (const row of of.effective) {
    const arrival = of.arrivals.get(contentRow(named(row)));
    const next = arrival?.change.content?.acl;
    const id = String(row.doc_id);
    const now = narrowed.get(id) ?? of.known.get(id)?.acl;
    if (next === undefined || now === undefined) continue;
    const held = narrowAccess(now, next);
    if (held.join('\n') !== now.join('\n')) narrowed.set(id, held);
  }
  if (narrowed.size === 0) return;
  await tx.$executeRawUnsafe(
    `update etl_document d set acl = n.acl, updated_at = now()
     from jsonb_to_recordset($2::jsonb) as n("docId" uuid, acl text[]) where d.tenant_id = $1 and d.doc_id = n."docId"`,
    tenant,
    JSON.stringify([...narrowed].map(([id, acl]) => ({ docId: id, acl }))),
  );
}

const named = (row: SqlRow) => ({
  keyHash: String(row.key_hash),
  kind: String(row.kind),
  sourceVersion: String(row.source_version),
});

/** The token of a call: one of its changes, which shares its time of receipt with all others. */
async function tokenOf(
  tx: Tx,
  of: { tenant: string; sourceId: string },
  last: Arrival,
): Promise<string> {
  const [row] = await tx.$queryRawUnsafe<SqlRow[]>(
    `select change_id from etl_change_event
     where tenant_id = $1 and doc_id = $2::uuid and kind = $3 and source_version = $4`,
    of.tenant,
    last.docId,
    last.change.kind,
    last.change.sourceVersion,
  );
  return String(row?.change_id);
}

/**
 * The source, locked: changes of one source are recorded one after the other, so that a cleared wake misses none. One that
 * goes takes nothing in; what it left behind can still be deleted.
 */
async function lockSource(tx: Tx, { tenant, sourceId, arrivals }: Call): Promise<SqlRow> {
  const [source] = await tx.$queryRawUnsafe<SqlRow[]>(
    `select s.kind, s.name, s.state, s.collection_id, s.wake_pending, s.next_seq::text,
       coalesce(nullif(s.acl, '{}'), c.acl_default, '{}') as acl
     from etl_source s join etl_collection c on c.tenant_id = s.tenant_id and c.collection_id = s.collection_id
     where s.tenant_id = $1 and s.source_id = $2 for update of s`,
    tenant,
    sourceId,
  );
  const isGoing = source?.state === 'DELETING' || source?.state === 'DELETED';
  if (source === undefined || (isGoing && arrivals.some(({ change }) => change.kind !== 'delete')))
    throw new PlatformError('NOT_FOUND', 'There is no such source.');
  return source;
}

/** The bytes of what is taken in, stored for good: from here on nothing refuses it. */
const withBytes = (arrivals: readonly Arrival[]): Promise<Arrival[]> =>
  all(arrivals, async (arrival) => {
    const { keep, ...change } = arrival.change;
    if (keep === undefined) return arrival;
    return { ...arrival, change: { ...change, contentRef: await keep() } };
  });

/** What a call is about. */
interface Call {
  tenant: string;
  sourceId: string;
  arrivals: Arrival[];
  /** The tenant's id key. */
  key: Uint8Array;
  startedBy: 'api' | 'relay';
}

async function record(parts: LedgerParts, tx: Tx, call: Call): Promise<Change<Recorded>> {
  const { tenant, sourceId } = call;
  const source = await lockSource(tx, call);
  const documents = call.arrivals.map(({ change, ...ids }) => ({
    docId: ids.docId,
    keyHash: ids.keyHash,
    naturalKeyEnc: ids.naturalKeyEnc,
    acl: change.content?.acl ?? source.acl,
  }));
  const into = [sourceId, String(source.collection_id), JSON.stringify(documents)];
  await tx.$executeRawUnsafe(insertDocuments, tenant, ...into);
  const ids = [...new Set(call.arrivals.map((arrival) => arrival.docId))];
  const known = await lockDocuments(tx, tenant, ids);
  const arrivals = source.kind === 'upload' ? await withReturns(parts, tx, call) : call.arrivals;
  const suppressed = await findSuppressed(tx, tenant, ids);
  const barred = arrivals.filter((arrival) => isBarred(suppressed, arrival));
  if (barred.length > 0 && call.startedBy === 'api')
    throw new PlatformError('DOCUMENT_SUPPRESSED', 'This document was erased for good.', {
      extensions: { documentIds: barred.map(({ docId: id }) => id) },
    });
  const nextSeq = BigInt(String(source.next_seq));
  const order = ordered(await withBytes(arrivals), { known, suppressed, nextSeq });
  const again = comesAgain(source.kind);
  const changes = JSON.stringify(order.rows);
  const taken = await tx.$queryRawUnsafe<SqlRow[]>(insertChanges, tenant, sourceId, changes, again);
  const effective = taken.filter((row) => row.state === 'PENDING');
  const byName = new Map(
    arrivals.map((arrival) => [
      contentRow({ ...arrival.change, keyHash: arrival.keyHash }),
      arrival,
    ]),
  );
  await holdAtOnce(tx, tenant, { arrivals: byName, effective, known });
  await tx.$executeRawUnsafe(
    `update etl_source set next_seq = $3::bigint, wake_pending = wake_pending or $4 where tenant_id = $1 and source_id = $2`,
    tenant,
    sourceId,
    order.nextSeq.toString(),
    effective.length > 0,
  );
  const last = arrivals.at(-1);
  const wakes = effective.length > 0 && source.wake_pending !== true;
  const start = parts.watchStart({ tenant, sourceId, name: String(source.name) });
  return {
    status: 202,
    body: {
      recorded: taken.filter((row) => row.state !== 'SUPPRESSED').length,
      changeToken: last === undefined ? '' : await tokenOf(tx, call, last),
    },
    audit: {
      action: 'etl.changes-recorded',
      resource: { type: 'source', id: sourceId },
      after: {
        received: arrivals.length,
        recorded: taken.length,
        effective: effective.length,
        suppressed: barred.length,
      },
    },
    wakes: wakes
      ? [
          {
            workflowId: start.workflowId,
            factId: newId('event'),
            start: { ...start, startedBy: call.startedBy },
          },
        ]
      : [],
  };
}

/** Of equal changes in one call the last counts: they are one redelivery. */
function distinct(changes: readonly SubmittedChange[]): SubmittedChange[] {
  const unique = new Map(
    changes.map((change) => [
      `${change.naturalKey}\0${change.kind}\0${change.sourceVersion}`,
      change,
    ]),
  );
  return [...unique.values()];
}

/** The change log (etl.md §5 W4, §7). */
export function createEtlChanges(
  parts: LedgerParts,
): Pick<Ledger, 'recordChanges' | 'submitChanges' | 'isApplied'> {
  const submit = async (
    caller: Caller,
    of: { sourceId: string; startedBy: 'api' | 'relay' },
    changes: readonly SubmittedChange[],
  ): Promise<Outcome<Recorded>> => {
    const { tenant } = caller;
    const key = (await parts.keyOf(tenant)).reveal();
    const { sourceId, startedBy } = of;
    const arrivals = await all(distinct(changes), (change) =>
      arrivalOf(parts, { tenant, sourceId, key }, change),
    );
    return mutate(parts.db, caller, (tx) =>
      record(parts, tx, { tenant, sourceId, arrivals, key, startedBy }),
    );
  };
  return {
    recordChanges: async (caller, sourceId, changes) => {
      if (changes.length === 0) return { recorded: 0, changeToken: '' };
      return (await submit(caller, { sourceId, startedBy: 'relay' }, changes)).body;
    },
    submitChanges: (caller, sourceId, changes) =>
      submit(caller, { sourceId, startedBy: 'api' }, changes),
    isApplied: (tenant, changeToken) =>
      parts.db.batch(tenant, async (query) => {
        const [row] = await query(
          `select t.state in ('PENDING', 'CLAIMED')
             or exists (select from etl_change_event e where e.tenant_id = $1 and e.source_id = t.source_id
               and e.state = 'PENDING' and e.received_at = t.received_at)
             or exists (select from etl_change_event e where e.tenant_id = $1 and e.source_id = t.source_id
               and e.state = 'CLAIMED' and e.received_at = t.received_at) as open
           from etl_change_event t where t.tenant_id = $1 and t.change_id = $2`,
          [tenant, changeToken],
        );
        if (row === undefined) throw new PlatformError('NOT_FOUND', 'There is no such change.');
        return row.open !== true;
      }),
  };
}
