import { PlatformError } from '../../domain/errors.js';
import { sliceDigits } from '../../domain/etl/check-sink-batch.js';
import type { MissingRow, ReconcileLedger } from '../../domain/etl/scan.js';
import type { SqlRow } from './database.js';
import { generationOf } from './etl-claims.js';
import {
  all,
  bounded,
  grouped,
  hashOfCopy,
  readJson,
  sealed,
  type ChunkPath,
  type LedgerParts,
  type RevisionHead,
} from './etl-rows.js';
import { mutate } from './mutate.js';
import { newId } from './new-id.js';

/** What manifests of a generation name in a slice. A document that is being written, or was since, is nobody's to judge. */
const namedRows = `
  named as (
    select m.doc_id, m.rev, r.row_id, r.at::int, d.acl, d.acl_hash,
      m.rev is not distinct from d.live_rev and d.deleted_at is null
        and (d.hidden_reason is null or d.hidden_reason like 'quarantine:%')
        and not r.row_id = any (coalesce(m.unindexed_row_ids, '{}')) and f.doc_id is null as wanted
    from etl_manifest m
    join etl_document d on d.tenant_id = $1 and d.doc_id = m.doc_id
    cross join lateral unnest(m.row_ids) with ordinality as r(row_id, at)
    left join in_flight f on f.doc_id = m.doc_id
    where m.tenant_id = $1 and m.generation_id = $2
      and left(r.row_id::text, 1) collate "C" between $6 and $7)`;

const inFlight = `
  in_flight as (
    select distinct doc_id from etl_intent
    where tenant_id = $1 and generation_id = $2 and (state = 'OPEN' or done_at >= $8::timestamptz))`;

const compare = `
  with stored as (
    select * from unnest($3::uuid[], $4::uuid[], $5::text[]) as s(row_id, doc_id, acl_hash)),
  in_doubt as (
    select unnest(row_ids || delete_row_ids) as row_id from etl_intent
    where tenant_id = $1 and generation_id = $2 and state = 'OPEN'),
  ${inFlight},
  ${namedRows}
  select 'orphan' as kind, s.row_id::text, s.doc_id::text, null::int as rev, null::int as at, null::text[] as acl,
    null::text as acl_hash from stored s
  where not exists (select from named n where n.row_id = s.row_id)
    and not exists (select from in_doubt i where i.row_id = s.row_id)
  union all
  select 'missing', n.row_id::text, n.doc_id::text, n.rev, n.at, n.acl, n.acl_hash from named n
  where n.wanted and not exists (select from stored s where s.row_id = n.row_id)
  union all
  select 'stale', n.row_id::text, n.doc_id::text, n.rev, n.at, n.acl, n.acl_hash
  from named n join stored s on s.row_id = n.row_id
  where n.wanted and n.acl_hash is not null and s.acl_hash is distinct from n.acl_hash
    and not exists (select from etl_change_event e where e.tenant_id = $1 and e.doc_id = n.doc_id
      and e.state in ('PENDING', 'CLAIMED'))
  order by 1, 2`;

/** What is written now has the access of now, which a change that waits may have narrowed: it is looked at again. */
const lookAgain = `
  update etl_manifest set is_behind = true, acl_hash = ''
  where tenant_id = $1 and generation_id = $2 and doc_id = any ($3::uuid[])`;

const contents = `
  select l.doc_id::text, l.rev, l.text_hashes, l.starts, l.ends, l.pages, l.paths_enc, r.text_enc, r.head_enc
  from unnest($2::uuid[], $3::int[]) as w(doc_id, rev)
  join (select * from etl_chunk_list where tenant_id = $1 and doc_id = any ($2::uuid[])) l
    on l.doc_id = w.doc_id and l.rev = w.rev
  join (select * from etl_revision where tenant_id = $1 and doc_id = any ($2::uuid[])) r
    on r.doc_id = w.doc_id and r.rev = w.rev
  where r.text_enc is not null and r.head_enc is not null and l.paths_enc is not null`;

/** Whoever writes a document holds it; what moved on since the comparison is not missing any more. */
const claim = `
  update etl_document d set fence = d.fence + 1, claim_batch = $4, claim_until = now() + interval '15 minutes'
  from unnest($2::uuid[], $3::int[]) as w(doc_id, rev)
  where d.tenant_id = $1 and d.doc_id = any ($2::uuid[]) and d.doc_id = w.doc_id and d.live_rev = w.rev
    and d.deleted_at is null and (d.claim_batch is null or d.claim_batch = $4)
  returning d.doc_id::text`;

/** Ends the claims; changes that waited for them are due. */
const release = `
  with freed as (
    update etl_document set claim_batch = null, claim_until = null, lost_claims = 0
    where tenant_id = $1 and claim_batch = $2 returning doc_id, source_id)
  update etl_source s set wake_pending = true from (
    select distinct f.source_id from freed f join etl_change_event e
      on e.tenant_id = $1 and e.doc_id = f.doc_id and e.state = 'PENDING') w
  where s.tenant_id = $1 and s.source_id = w.source_id returning s.source_id, s.name`;

/** The chunks of one revision that its store lacks, from the stored text: nothing is fetched or parsed again. */
async function missingOf(
  parts: LedgerParts,
  tenant: string,
  of: { content: SqlRow; rows: readonly SqlRow[] },
): Promise<MissingRow[]> {
  const { content, rows } = of;
  const owner = { tenant, docId: String(content.doc_id), rev: Number(content.rev) };
  const { decrypt } = parts.cipher;
  const opened = await decrypt(sealed.revision('text_enc', owner), content.text_enc as Buffer);
  const text = opened.toString('utf8');
  const paths = readJson<ChunkPath[]>(
    await decrypt(sealed.paths(owner), content.paths_enc as Buffer),
  );
  const head = await decrypt(sealed.revision('head_enc', owner), content.head_enc as Buffer);
  const { metadata } = readJson<RevisionHead>(head);
  const [hashes, starts, ends, pages] = [
    content.text_hashes as string[],
    content.starts as number[],
    content.ends as number[],
    content.pages as number[],
  ];
  return rows.flatMap((row): MissingRow[] => {
    const at = Number(row.at) - 1;
    const path = paths[at];
    if (path === undefined) return [];
    const [, lead, whole] = path;
    return [
      {
        rowId: String(row.row_id),
        docId: owner.docId,
        textHash: hashes[at] ?? '',
        embedText: whole === 1 ? lead : lead + text.slice(starts[at], ends[at]),
        page: pages[at] ?? 0,
        metadata,
        acl: row.acl as string[],
        aclHash: hashOfCopy(row.acl as string[]),
      },
    ];
  });
}

/** Claims the documents that lack rows, and reads what their rows are made of. */
async function findMissing(
  parts: LedgerParts,
  of: { tenant: string; reconcileId: string },
  found: readonly SqlRow[],
): Promise<MissingRow[]> {
  const { tenant, reconcileId } = of;
  const byDocument = grouped(found);
  const docIds = [...byDocument.keys()].sort();
  if (docIds.length === 0) return [];
  const revs = docIds.map((docId) => Number(byDocument.get(docId)?.[0]?.rev));
  const rows = await parts.db.batch(tenant, async (query) => {
    // In order of the id, like every writer of documents.
    await query(
      `select 1 from etl_document where tenant_id = $1 and doc_id = any ($2::uuid[]) order by doc_id for update`,
      [tenant, docIds],
    );
    const held = await bounded(query, claim, [tenant, docIds, revs, reconcileId]);
    const mine = new Set(held.map((row) => String(row.doc_id)));
    const wanted = docIds.map((docId, at) => ({ docId, rev: revs[at] }));
    const claimed = wanted.filter(({ docId }) => mine.has(docId));
    return bounded(query, contents, [
      tenant,
      claimed.map(({ docId }) => docId),
      claimed.map(({ rev }) => rev),
    ]);
  });
  const missing = await all(rows, (content) =>
    missingOf(parts, tenant, { content, rows: byDocument.get(String(content.doc_id)) ?? [] }),
  );
  return missing.flat();
}

const compareRows =
  (parts: LedgerParts): ReconcileLedger['compareRows'] =>
  async (tenant, generationId, { reconcileId, index, of, rows }) => {
    const [clock] = await parts.db.batch(tenant, (query) => query('select now()::text as at'));
    const stored = { rowIds: [] as string[], docIds: [] as string[], hashes: [] as string[] };
    // The store first, the ledger after: what is committed in between is in the ledger, and not wanted before it was.
    for await (const row of rows) {
      stored.rowIds.push(row.rowId);
      stored.docIds.push(row.docId);
      stored.hashes.push(row.accessHash);
    }
    const digits = sliceDigits({ index, of });
    const found = await parts.db.batch(tenant, (query) =>
      bounded(query, compare, [
        ...[tenant, generationId, stored.rowIds, stored.docIds, stored.hashes],
        ...[...digits, clock?.at],
      ]),
    );
    const held = new Map(stored.rowIds.map((rowId, at) => [rowId, stored.hashes[at]]));
    const isOther = (row: SqlRow): boolean =>
      row.kind !== 'stale' || held.get(String(row.row_id)) !== hashOfCopy(row.acl as string[]);
    const differing = found.filter(isOther);
    const narrowed = differing.filter(
      ({ acl, acl_hash: hash }) => acl !== null && hashOfCopy(acl as string[]) !== hash,
    );
    if (narrowed.length > 0)
      await parts.db.batch(tenant, (query) =>
        query(lookAgain, [tenant, generationId, [...new Set(narrowed.map((row) => row.doc_id))]]),
      );
    const kinds = Map.groupBy(differing, (row) => String(row.kind));
    return {
      rows: stored.rowIds.length,
      orphanRowIds: (kinds.get('orphan') ?? []).map((row) => String(row.row_id)),
      missing: await findMissing(parts, { tenant, reconcileId }, kinds.get('missing') ?? []),
      stale: (kinds.get('stale') ?? []).map((row) => ({
        rowId: String(row.row_id),
        acl: row.acl as string[],
        aclHash: hashOfCopy(row.acl as string[]),
      })),
    };
  };

const recordSlice =
  (parts: LedgerParts): ReconcileLedger['recordSlice'] =>
  async (caller, reconcileId, { index, orphans, missing, stale }) => {
    const { tenant } = caller;
    await mutate(parts.db, caller, async (tx) => {
      await tx.$executeRawUnsafe(
        `update etl_reconcile set orphan_rows = orphan_rows + $4, missing_rows = missing_rows + $5,
           stale_rows = stale_rows + $6, slices = slices || $3::int
         where tenant_id = $1 and reconcile_id = $2 and state = 'RUNNING' and not $3 = any (slices)`,
        ...[tenant, reconcileId, index, orphans, missing, stale],
      );
      // The source before its documents, as whoever records changes.
      await tx.$executeRawUnsafe(
        `select 1 from etl_source where tenant_id = $1 and source_id in (
           select source_id from etl_document where tenant_id = $1 and claim_batch = $2) order by source_id for update`,
        tenant,
        reconcileId,
      );
      const waiting = await tx.$queryRawUnsafe<SqlRow[]>(release, tenant, reconcileId);
      const wakes = waiting.map((row) => {
        const source = { tenant, sourceId: String(row.source_id), name: String(row.name) };
        const start = { ...parts.watchStart(source), startedBy: 'relay' as const };
        return { workflowId: start.workflowId, factId: newId('event'), start };
      });
      return { status: 200, body: undefined, wakes, audit: [] };
    });
  };

const settleReconcile =
  (parts: LedgerParts): ReconcileLedger['settleReconcile'] =>
  async (caller, reconcileId, { state, code }) => {
    await mutate(parts.db, caller, async (tx) => {
      const [row] = await tx.$queryRawUnsafe<SqlRow[]>(
        `update etl_reconcile set state = $3, reason = $4, ended_at = now()
         where tenant_id = $1 and reconcile_id = $2 and state = 'RUNNING'
         returning generation_id, orphan_rows, missing_rows, stale_rows`,
        ...[caller.tenant, reconcileId, state, code ?? null],
      );
      if (row === undefined) return { status: 200, body: undefined, audit: [] };
      // A slice that was never recorded leaves its claims behind.
      await tx.$executeRawUnsafe(
        `update etl_document set claim_batch = null, claim_until = null where tenant_id = $1 and claim_batch = $2`,
        caller.tenant,
        reconcileId,
      );
      const facts = {
        reconcileId,
        generationId: String(row.generation_id),
        state,
        orphans: Number(row.orphan_rows),
        missing: Number(row.missing_rows),
        stale: Number(row.stale_rows),
      };
      return {
        status: 200,
        body: undefined,
        events: [
          { type: 'anneal.etl.reconciled.v1', subject: `reconciles/${reconcileId}`, data: facts },
        ],
        audit: {
          action: `etl.reconcile-${state.toLowerCase()}`,
          resource: { type: 'reconcile', id: reconcileId },
          before: { state: 'RUNNING' },
          after: facts,
          ...(code === undefined ? {} : { reason: code }),
        },
      };
    });
  };

/** The rows of reconciles (etl.md §6): a slice of a store against what manifests and open intents name. */
export const createEtlReconcileLedger = (parts: LedgerParts): ReconcileLedger => ({
  findGeneration: (tenant, generationId) =>
    parts.db.batch(tenant, async (query) => {
      const [row] = await query(
        `select * from etl_generation where tenant_id = $1 and generation_id = $2 and state <> 'DROPPED'`,
        [tenant, generationId],
      );
      if (row === undefined) throw new PlatformError('NOT_FOUND', 'There is no such generation.');
      return generationOf(row);
    }),
  compareRows: compareRows(parts),
  recordSlice: recordSlice(parts),
  settleReconcile: settleReconcile(parts),
});
