import { PlatformError } from '../../domain/errors.js';
import type { Caller } from '../../domain/events/change.js';
import { docId } from '../../domain/etl/fingerprints.js';
import { keyHash } from '../../domain/etl/key-hash.js';
import type { ListedDocument, ScanLedger } from '../../domain/etl/scan.js';
import type { Query } from './database.js';
import { all, sealed } from './etl-rows.js';
import { lockScan, scanEnd, type ScanParts } from './etl-scan-rows.js';
import { settleScan } from './etl-scan-deletes.js';
import { takeUpserts } from './etl-scan-upserts.js';
import { mutate } from './mutate.js';

const MAX_INT = 2 ** 31 - 1;

const insertEntries = `
  insert into etl_scan_entry (tenant_id, scan_id, key_hash, doc_id, natural_key_enc, token, bytes)
  select $1, $2, e."keyHash", e."docId", decode(e."naturalKeyEnc", 'base64'), e.token, e.bytes
  from jsonb_to_recordset($3::jsonb) as e("keyHash" text, "docId" uuid, "naturalKeyEnc" text, token text, bytes int)
  order by e."keyHash"
  on conflict (tenant_id, scan_id, key_hash) do update
    set token = excluded.token, bytes = excluded.bytes, listed_at = excluded.listed_at`;

async function sourceOf(query: Query, tenant: string, scanId: string): Promise<string> {
  const [row] = await query(
    `select source_id from etl_scan where tenant_id = $1 and scan_id = $2`,
    [tenant, scanId],
  );
  if (row === undefined) throw new PlatformError('NOT_FOUND', 'There is no such scan.');
  return String(row.source_id);
}

/** Entries by their ids; the key of a document that is not known yet is sealed for it. */
async function entriesOf(
  parts: ScanParts,
  of: { tenant: string; scanId: string },
  listed: readonly ListedDocument[],
) {
  const { tenant, scanId } = of;
  const key = (await parts.keyOf(tenant)).reveal();
  const { named, known } = await parts.db.batch(tenant, async (query) => {
    const sourceId = await sourceOf(query, tenant, scanId);
    const entries = listed.map((entry) => ({
      ...entry,
      id: docId(key, sourceId, entry.naturalKey),
      hash: keyHash(key, sourceId, entry.naturalKey),
    }));
    const rows = await query(
      `select doc_id::text from etl_document where tenant_id = $1 and doc_id = any ($2::uuid[])`,
      [tenant, entries.map(({ id }) => id)],
    );
    return { named: entries, known: new Set(rows.map((row) => String(row.doc_id))) };
  });
  return all(named, async ({ id, hash, naturalKey, token, bytes }) => {
    const owner = sealed.naturalKey(tenant, id);
    const keyEnc = known.has(id) ? undefined : await parts.cipher.encrypt(owner, naturalKey);
    return {
      ...{ keyHash: hash, docId: id, token },
      naturalKeyEnc: keyEnc?.toString('base64') ?? null,
      bytes: bytes === undefined ? null : Math.min(bytes, MAX_INT),
    };
  });
}

const recordPage =
  (parts: ScanParts): ScanLedger['recordPage'] =>
  async (tenant, scanId, { entries, cursor, complete }) => {
    const distinct = new Map(entries.map((entry) => [entry.naturalKey, entry]));
    const rows = await entriesOf(parts, { tenant, scanId }, [...distinct.values()]);
    await parts.db.batch(tenant, async (query) => {
      const [scan] = await query(
        `select state from etl_scan where tenant_id = $1 and scan_id = $2 for update`,
        [tenant, scanId],
      );
      // A page of a listing that has been applied comes from an attempt that nobody waits for.
      if (scan?.state !== 'RUNNING') return;
      if (rows.length > 0) await query(insertEntries, [tenant, scanId, JSON.stringify(rows)]);
      await query(
        `update etl_scan set cursor = to_jsonb($3::text), has_gaps = has_gaps or not $4,
           complete = $4 and not has_gaps and $3::text is null
         where tenant_id = $1 and scan_id = $2`,
        [tenant, scanId, cursor ?? null, complete],
      );
    });
  };

const failScan =
  (parts: ScanParts) =>
  async (caller: Caller, scanId: string, code: string): Promise<void> => {
    await mutate(parts.db, caller, async (tx) => {
      const held = await lockScan(tx, caller.tenant, scanId);
      return held.scan.endedAt === null
        ? scanEnd(tx, held, { state: 'FAILED', reason: code })
        : { status: 200, body: undefined, audit: [] };
    });
  };

/**
 * The rows of scans (etl.md §6, §7). Changes are recorded in steps of one transaction each, so that neither live events
 * nor deletions wait long for the source's row; what a step has recorded, a repeat leaves alone.
 */
export const createEtlScanLedger = (parts: ScanParts): ScanLedger => ({
  recordPage: recordPage(parts),
  applyScan: async (caller, scanId, guard) => {
    let after: string | undefined = '';
    while (after !== undefined) after = await takeUpserts(parts, caller, { scanId, after });
    for (;;) {
      const standing = await settleScan(parts, caller, { scanId, ...guard });
      if (standing !== undefined) return standing;
    }
  },
  failScan: failScan(parts),
});
