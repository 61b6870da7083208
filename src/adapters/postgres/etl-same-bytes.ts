import { docId } from '../../domain/etl/fingerprints.js';
import type { Ledger } from '../../domain/etl/ledger.js';
import { bounded, type LedgerParts } from './etl-rows.js';

// A document that waits for anything, or that something has stopped, goes the long way.
const standing = `
  standing as (
    select doc_id, source_token, raw_hash, pipeline_fp from etl_document d
    where tenant_id = $1 and doc_id = any ($3::uuid[]) and source_id = $2 and live_rev is not null and deleted_at is null
      and stale_since is null and hidden_reason is null and claim_batch is null)`;

const touched = `
  with i as (select * from unnest($3::uuid[], $4::text[]) as i(doc_id, token)), ${standing}
  select s.doc_id from i join standing s on s.doc_id = i.doc_id and s.source_token is distinct from i.token`;

const same = `
  with i as (select * from unnest($3::uuid[], $4::text[], $5::text[]) as i(doc_id, token, raw_hash)), ${standing},
  busy as (
    select doc_id from etl_change_event
    where tenant_id = $1 and doc_id = any ($3::uuid[]) and state in ('PENDING', 'CLAIMED')
    union all select doc_id from etl_intent where tenant_id = $1 and doc_id = any ($3::uuid[]) and state = 'OPEN'),
  same as (
    select s.doc_id, i.token, s.source_token is distinct from i.token as is_moved
    from i join standing s on s.doc_id = i.doc_id and s.raw_hash = i.raw_hash and s.pipeline_fp = any ($6::text[])
    left join busy on busy.doc_id = s.doc_id where busy.doc_id is null),
  moved as (
    update etl_document d set source_token = s.token, updated_at = now() from same s
    where s.is_moved and d.tenant_id = $1 and d.doc_id = any ($3::uuid[]) and d.doc_id = s.doc_id and d.claim_batch is null)
  select doc_id from same`;

/** Rungs 1 and 2 of the change ladder for a page at once (etl.md §3). */
export function createEtlSameBytes(
  parts: LedgerParts,
): Pick<Ledger, 'findTouched' | 'settleSameBytes'> {
  const idsOf = async (
    of: { tenant: string; sourceId: string },
    documents: readonly { naturalKey: string }[],
  ): Promise<string[]> => {
    const key = (await parts.keyOf(of.tenant)).reveal();
    return documents.map(({ naturalKey }) => docId(key, of.sourceId, naturalKey));
  };
  return {
    findTouched: async (tenant, sourceId, listed) => {
      const ids = await idsOf({ tenant, sourceId }, listed);
      const tokens = listed.map(({ token }) => token);
      const rows = await parts.db.batch(tenant, (query) =>
        bounded(query, touched, [tenant, sourceId, ids, tokens]),
      );
      const found = new Set(rows.map((row) => String(row.doc_id)));
      return listed.filter((_, at) => found.has(ids[at] ?? '')).map(({ naturalKey }) => naturalKey);
    },
    settleSameBytes: async (tenant, { sourceId, pipelineFps }, documents) => {
      const ids = await idsOf({ tenant, sourceId }, documents);
      const rows = await parts.db.batch(tenant, (query) =>
        bounded(query, same, [
          ...[tenant, sourceId, ids],
          documents.map(({ token }) => token),
          documents.map(({ rawHash }) => rawHash),
          pipelineFps,
        ]),
      );
      const found = new Set(rows.map((row) => String(row.doc_id)));
      return documents
        .filter((_, at) => found.has(ids[at] ?? ''))
        .map(({ naturalKey }) => naturalKey);
    },
  };
}
