import { formatId, type IdKind } from '../../domain/ids.js';
import {
  etlRetention,
  type RetentionKind,
  type RetentionLedger,
  type RetentionPage,
} from '../../domain/etl/retention.js';
import { HOUR_MS } from '../../domain/units.js';
import type { Database, Query, SqlRow } from './database.js';
import { appendBatchAudit } from './etl-commits.js';
import { openIds } from './reconcile.js';

/** Rows that one transaction looks at. */
const PAGE_ROWS = 2_000;

/** Ids are minted by a worker's clock, ages are told by the database's. */
const CLOCKS_APART_MS = HOUR_MS;

type Page = (
  query: Query,
  of: { tenant: string; after: string; seconds: number; before: (kind: IdKind) => string },
) => Promise<RetentionPage>;

const pageOf = (row: SqlRow | undefined): RetentionPage => ({
  removed: Number(row?.removed ?? 0),
  next: Number(row?.seen ?? 0) < PAGE_ROWS ? undefined : String(row?.upto),
});

// Ids are in order of time: what is too young is not even looked at. An open intent is in doubt, however old.
const intents = `
  with page as (
    select intent_id from etl_intent
    where tenant_id = $1 and intent_id > $2 and intent_id < $3 order by intent_id limit ${PAGE_ROWS}),
  going as (
    select intent_id from etl_intent where tenant_id = $1 and intent_id in (select intent_id from page)
      and state = 'DONE' and done_at < now() - make_interval(secs => $4) for update skip locked),
  gone as (
    delete from etl_intent where tenant_id = $1 and intent_id in (select intent_id from going) returning intent_id)
  select (select count(*) from page) as seen, (select max(intent_id) from page) as upto, (select count(*) from gone) as removed`;

// The newest that was applied, and what came after it, are the order of the document. The bytes of a pushed change are
// named by a revision besides, or stay named by their change.
const changes = `
  with page as (
    select change_id from etl_change_event
    where tenant_id = $1 and change_id > $2 and change_id < $3 order by change_id limit ${PAGE_ROWS}),
  going as (
    select e.change_id from etl_change_event e where e.tenant_id = $1 and e.change_id in (select change_id from page)
      and e.state in ('APPLIED', 'SUPERSEDED') and coalesce(e.applied_at, e.received_at) < now() - make_interval(secs => $4)
      and exists (select from etl_change_event n where n.tenant_id = $1 and n.doc_id = e.doc_id and n.state = 'APPLIED'
        and (n.kind = 'acl') = (e.kind = 'acl') and n.seq > e.seq)
      and (e.content_ref is null or exists (select from etl_revision r where r.tenant_id = $1 and r.doc_id = e.doc_id
        and r.raw_ref = e.content_ref))
    for update of e skip locked),
  gone as (
    delete from etl_change_event where tenant_id = $1 and change_id in (select change_id from going) returning change_id)
  select (select count(*) from page) as seen, (select max(change_id) from page) as upto, (select count(*) from gone) as removed`;

const scans = `
  with page as (
    select scan_id from etl_scan
    where tenant_id = $1 and scan_id > $2 and scan_id < $3 order by scan_id limit ${PAGE_ROWS}),
  going as (
    select s.scan_id from etl_scan s where s.tenant_id = $1 and s.scan_id in (select scan_id from page)
      and s.ended_at < now() - make_interval(secs => $4)
      and exists (select from etl_scan n where n.tenant_id = $1 and n.source_id = s.source_id and n.scan_id > s.scan_id)
    for update of s skip locked),
  entries as (
    delete from etl_scan_entry where tenant_id = $1 and scan_id in (select scan_id from going)),
  gone as (
    delete from etl_scan where tenant_id = $1 and scan_id in (select scan_id from going) returning scan_id)
  select (select count(*) from page) as seen, (select max(scan_id) from page) as upto, (select count(*) from gone) as removed`;

// What a generation stands at is compared and patched by its text; what an open write will write is made from it.
const texts = `
  with going as (
    select r.doc_id, r.rev, r.superseded_at from etl_revision r
    where r.tenant_id = $1 and r.superseded_at >= coalesce(nullif($2, '')::timestamptz, '-infinity')
      and r.superseded_at < now() - make_interval(secs => $3) and r.text_enc is not null and r.state = 'SUPERSEDED'
      and not exists (select from etl_document d where d.tenant_id = $1 and d.doc_id = r.doc_id and d.live_rev = r.rev)
      and not exists (select from etl_manifest m where m.tenant_id = $1 and m.doc_id = r.doc_id and m.rev = r.rev)
      and not exists (select from etl_intent i where i.tenant_id = $1 and i.doc_id = r.doc_id and i.rev = r.rev
        and i.state = 'OPEN')
    order by r.superseded_at limit ${PAGE_ROWS} for update of r skip locked),
  lists as (
    update etl_chunk_list l set paths_enc = null from going g
    where l.tenant_id = $1 and l.doc_id = g.doc_id and l.rev = g.rev),
  gone as (
    update etl_revision r set text_enc = null, blocks_enc = null, head_enc = null from going g
    where r.tenant_id = $1 and r.doc_id = g.doc_id and r.rev = g.rev returning r.rev)
  select (select count(*) from going) as seen, (select max(superseded_at)::text from going) as upto,
    (select count(*) from gone) as removed`;

// A retry of what still runs joins it, however long that takes. The worker sees no answer: the function reads them.
const answers = `
  select seen, removed, upto::text from idempotency_forget(coalesce(nullif($2, '')::timestamptz, '-infinity'),
    now() - make_interval(secs => $4), ${PAGE_ROWS}, array(${openIds}))`;

const byId =
  (sql: string, kind: IdKind): Page =>
  async (query, { tenant, after, seconds, before }) => {
    const [row] = await query(sql, [tenant, after, before(kind), seconds]);
    return pageOf(row);
  };

const pages: Record<RetentionKind, { keptMs: number; page: Page }> = {
  intents: { keptMs: etlRetention.intentMs, page: byId(intents, 'writeIntent') },
  changes: { keptMs: etlRetention.changeMs, page: byId(changes, 'change') },
  scans: { keptMs: etlRetention.scanMs, page: byId(scans, 'scan') },
  texts: {
    keptMs: etlRetention.textMs,
    page: async (query, { tenant, after, seconds }) => {
      const [row] = await query(texts, [tenant, after, seconds]);
      return pageOf(row);
    },
  },
  answers: {
    keptMs: etlRetention.answerMs,
    page: async (query, { tenant, after, seconds }) => {
      const [row] = await query(answers, [tenant, after, PAGE_ROWS, seconds]);
      return pageOf(row);
    },
  },
};

async function purgePage(
  query: Query,
  of: { tenant: string; kind: RetentionKind; after: string },
): Promise<RetentionPage> {
  const { tenant, kind, after } = of;
  const { keptMs, page } = pages[kind];
  const [clock] = await query('select extract(epoch from now()) * 1000 as now');
  const untilMs = Number(clock?.now) - keptMs;
  const before = (of: IdKind): string =>
    formatId(of, Math.floor(untilMs + CLOCKS_APART_MS), new Uint8Array(10));
  const found = await page(query, { tenant, after, seconds: keptMs / 1_000, before });
  if (found.removed > 0)
    await appendBatchAudit(query, {
      action: 'etl.retention-applied',
      resource: { type: 'tenant', id: tenant },
      after: { kind, removed: found.removed, until: new Date(untilMs).toISOString() },
    });
  return found;
}

/** Ends the time that rows of the ledger and stored answers are kept, page by page (role anneal_worker). */
export const createEtlRetention = (db: Database): RetentionLedger => ({
  purgePage: (tenant, { kind, after }) =>
    db.batch(tenant, (query) => purgePage(query, { tenant, kind, after })),
});
