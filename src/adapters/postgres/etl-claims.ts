import { quarantineReasons } from '../../domain/etl/gates.js';
import type {
  ChangeKind,
  ClaimedDocument,
  GenerationFacts,
  Ledger,
  Pipeline,
  PushedContent,
  SourceFacts,
} from '../../domain/etl/ledger.js';
import type { Query, SqlRow } from './database.js';
import { contentRow } from './etl-changes.js';
import {
  all,
  begunRev,
  bounded,
  grouped,
  loadStanding,
  optional,
  readJson,
  sealed,
  type HeldStanding,
  type LedgerParts,
} from './etl-rows.js';
import { newId } from './new-id.js';

/** What a document counts for where its source does not say its size. */
const UNKNOWN_BYTES = 8_192;
const POISON_CLAIMS = 5;

const held = `
  select d.doc_id, d.key_hash, d.natural_key_enc, d.fence, d.live_rev, d.deleted_at is not null as deleted, d.acl,
    d.source_token, d.raw_hash, d.text_hash, d.meta_hash, d.acl_hash, d.parse_fp, d.chunk_fp,
    e.kind, e.source_version, e.seq, e.content_ref, e.content_enc, e.received_at
  from etl_document d join etl_change_event e
    on e.tenant_id = $1 and e.batch_id = $2 and e.doc_id = d.doc_id and e.state = 'CLAIMED'
  where d.tenant_id = $1 and d.claim_batch = $2 order by e.priority, e.seq, d.doc_id`;

/** Frees claims that nobody renewed; a document that five writers were lost over is poison. @returns how many are */
async function freeLapsed(query: Query, tenant: string, sourceId: string): Promise<number> {
  const freed = await query(
    `with lapsed as (
       select doc_id, claim_batch from etl_document
       where tenant_id = $1 and source_id = $2 and claim_batch is not null and claim_until < now()
       order by doc_id for update skip locked)
     update etl_document d set claim_batch = null, claim_until = null, fence = d.fence + 1, updated_at = now(),
       lost_claims = case when d.lost_claims + 1 >= $3 then 0 else d.lost_claims + 1 end,
       stale_since = case when d.lost_claims + 1 >= $3 and d.live_rev is not null then coalesce(d.stale_since, now())
         else d.stale_since end
     from lapsed l where d.tenant_id = $1 and d.doc_id = l.doc_id
     returning d.doc_id, d.collection_id, l.claim_batch, d.lost_claims = 0 as poison`,
    [tenant, sourceId, POISON_CLAIMS],
  );
  if (freed.length === 0) return 0;
  const rows = freed.map((row) => ({
    docId: row.doc_id,
    batchId: row.claim_batch,
    collectionId: row.collection_id,
    poison: row.poison,
    itemId: newId('quarantineItem'),
  }));
  await query(
    `update etl_change_event e set batch_id = null, state = case when f.poison then 'QUARANTINED' else 'PENDING' end
     from jsonb_to_recordset($2::jsonb) as f("docId" uuid, "batchId" text, poison boolean)
     where e.tenant_id = $1 and e.batch_id = f."batchId" and e.doc_id = f."docId" and e.state = 'CLAIMED'`,
    [tenant, JSON.stringify(rows)],
  );
  await query(
    `insert into etl_quarantine_item (tenant_id, item_id, source_id, collection_id, doc_id, stage, reason, evidence, state)
     select $1, f."itemId", $2, f."collectionId", f."docId", $5, 'poison', jsonb_build_object('lostClaims', $4::int), 'OPEN'
     from jsonb_to_recordset($3::jsonb) as f("docId" uuid, "collectionId" text, "itemId" text, poison boolean) where f.poison`,
    [tenant, sourceId, JSON.stringify(rows), POISON_CLAIMS, quarantineReasons.poison.stage],
  );
  return rows.filter(({ poison }) => poison === true).length;
}

/** A pending change, as far as its order goes. */
interface Waiting {
  changeId: string;
  kind: ChangeKind;
  seq: bigint;
  bytes: number;
}

/**
 * Which of a document's waiting changes is applied now, and which ones it replaces. The newest state wins; a change of
 * access that came before newer content goes first, because that content need not repeat it; one that came after waits.
 */
function pick(waiting: readonly Waiting[]): { chosen: Waiting; superseded: Waiting[] } | undefined {
  const newest = (of: readonly Waiting[]): Waiting | undefined =>
    of.reduce<Waiting | undefined>(
      (best, one) => (best === undefined || one.seq >= best.seq ? one : best),
      undefined,
    );
  const content = newest(waiting.filter((one) => one.kind !== 'acl'));
  const access = newest(waiting.filter((one) => one.kind === 'acl'));
  const first = content === undefined || (access !== undefined && access.seq < content.seq);
  const overtakes = content?.kind === 'delete' && first;
  const chosen = overtakes ? content : first ? access : content;
  if (chosen === undefined) return undefined;
  const replaced = (one: Waiting): boolean =>
    one !== chosen &&
    one.seq <= chosen.seq &&
    (chosen.kind === 'delete' || (one.kind === 'acl') === (chosen.kind === 'acl'));
  return { chosen, superseded: waiting.filter(replaced) };
}

async function lockDue(
  query: Query,
  claim: { tenant: string; sourceId: string; maxDocuments: number },
): Promise<string[]> {
  const due = await bounded(
    query,
    `with queue as (
       select e.doc_id, e.priority, e.seq from etl_change_event e
       where e.tenant_id = $1 and e.source_id = $2 and e.state = 'PENDING' and not exists (
         select from etl_document h where h.tenant_id = $1 and h.doc_id = e.doc_id and h.claim_batch is not null)
       order by e.priority, e.seq limit $3::int * 8),
     due as (select doc_id, min(priority) as priority, min(seq) as seq from queue group by doc_id)
     select doc_id from due order by priority, seq, doc_id limit $3::int * 4`,
    [claim.tenant, claim.sourceId, claim.maxDocuments],
  );
  const order = due.map((row) => String(row.doc_id));
  const locked = new Set<string>();
  // What another claim takes at the same moment is passed over; the rest of what is due makes up for it.
  for (let at = 0; at < order.length && locked.size < claim.maxDocuments;) {
    const some = order.slice(at, at + claim.maxDocuments - locked.size);
    const rows = await query(
      `select doc_id from etl_document where tenant_id = $1 and doc_id = any($2::uuid[]) and claim_batch is null
       for update skip locked`,
      [claim.tenant, some],
    );
    for (const row of rows) locked.add(String(row.doc_id));
    at += some.length;
  }
  return order.filter((docId) => locked.has(docId));
}

/** Gates that people opened, by document. */
async function loadReleased(
  query: Query,
  tenant: string,
  docIds: readonly string[],
): Promise<Map<string, ClaimedDocument['released']>> {
  const rows = await query(
    `select doc_id, reason, raw_hash from etl_quarantine_item
     where tenant_id = $1 and doc_id = any($2::uuid[]) and state = 'RELEASED' and raw_hash is not null`,
    [tenant, docIds],
  );
  return new Map(
    [...grouped(rows)].map(([docId, own]) => [
      docId,
      own.map((row) => ({ reason: String(row.reason), rawHash: String(row.raw_hash) })),
    ]),
  );
}

/** Changes of documents that were erased are never applied, whichever way they came in; deletions still are. */
async function dropSuppressed(
  query: Query,
  tenant: string,
  docIds: readonly string[],
): Promise<Set<string>> {
  const barred = await query(
    `select hmac from etl_suppression where tenant_id = $1 and kind = 'document' and hmac = any($2::text[])`,
    [tenant, docIds],
  );
  if (barred.length === 0) return new Set();
  const rows = await query(
    `update etl_change_event set state = 'SUPPRESSED'
     where tenant_id = $1 and doc_id = any($2::uuid[]) and state = 'PENDING' and kind <> 'delete' returning change_id`,
    [tenant, barred.map((row) => row.hmac)],
  );
  return new Set(rows.map((row) => String(row.change_id)));
}

type Claim = Parameters<Ledger['claimBatch']>[0];

async function claimDue(query: Query, claim: Claim): Promise<void> {
  const { tenant, batchId } = claim;
  const docIds = await lockDue(query, claim);
  if (docIds.length === 0) return;
  const events = await query(
    `select change_id, doc_id, kind, seq, coalesce(bytes, $3) as bytes from etl_change_event
     where tenant_id = $1 and doc_id = any($2::uuid[]) and state = 'PENDING'`,
    [tenant, docIds, UNKNOWN_BYTES],
  );
  const dropped = await dropSuppressed(query, tenant, docIds);
  const waiting = new Map<string, Waiting[]>();
  for (const row of events) {
    if (dropped.has(String(row.change_id))) continue;
    const docId = String(row.doc_id);
    const change = {
      changeId: String(row.change_id),
      kind: row.kind as ChangeKind,
      seq: BigInt(String(row.seq)),
      bytes: Number(row.bytes),
    };
    const of = waiting.get(docId);
    if (of === undefined) waiting.set(docId, [change]);
    else of.push(change);
  }
  const taken: { docId: string; changeId: string }[] = [];
  const superseded: string[] = [];
  let bytes = 0;
  for (const docId of docIds) {
    const picked = pick(waiting.get(docId) ?? []);
    if (picked === undefined) continue;
    bytes += picked.chosen.kind === 'upsert' ? picked.chosen.bytes : 0;
    if (taken.length > 0 && bytes > claim.maxBytes) break;
    taken.push({ docId, changeId: picked.chosen.changeId });
    superseded.push(...picked.superseded.map((change) => change.changeId));
  }
  await query(
    `update etl_document set fence = fence + 1, claim_batch = $2, claim_until = now() + interval '15 minutes'
     where tenant_id = $1 and doc_id = any($3::uuid[])`,
    [tenant, batchId, taken.map(({ docId }) => docId)],
  );
  await query(
    `update etl_change_event set state = 'CLAIMED', batch_id = $2 where tenant_id = $1 and change_id = any($3::text[])`,
    [tenant, batchId, taken.map(({ changeId }) => changeId)],
  );
  if (superseded.length > 0)
    await query(
      `update etl_change_event set state = 'SUPERSEDED', batch_id = null
       where tenant_id = $1 and change_id = any($2::text[])`,
      [tenant, superseded],
    );
}

/**
 * Whether what was prepared is what this change asks for. A batch whose claims lapsed may hold a newer change of the same
 * document when it is tried again: what it prepared before is in doubt then, and not its work any more.
 */
const carriesOut = (
  preparedFrom: bigint | undefined,
  { kind, seq }: ClaimedDocument['change'],
): boolean => (preparedFrom === undefined ? kind === 'delete' : preparedFrom === seq);

async function claimedOf(
  parts: LedgerParts,
  of: {
    tenant: string;
    batchId: string;
    standing: HeldStanding;
    released: ClaimedDocument['released'];
  },
  row: SqlRow,
): Promise<ClaimedDocument> {
  const { tenant, standing } = of;
  const docId = String(row.doc_id);
  const kind = row.kind as ChangeKind;
  const sourceVersion = String(row.source_version);
  const naturalKey = await parts.cipher.decrypt(
    sealed.naturalKey(tenant, docId),
    row.natural_key_enc as Buffer,
  );
  const name = contentRow({ keyHash: String(row.key_hash), kind, sourceVersion });
  const content =
    row.content_enc === null
      ? undefined
      : readJson<PushedContent>(
          await parts.cipher.decrypt(sealed.content(tenant, name), row.content_enc as Buffer),
        );
  const liveRev = row.live_rev === null ? undefined : Number(row.live_rev);
  const begun = begunRev(standing, liveRev);
  const change = {
    kind,
    sourceVersion,
    seq: BigInt(String(row.seq)),
    contentRef: optional(row.content_ref),
    content,
    receivedAtMs: (row.received_at as Date).getTime(),
  };
  return {
    docId,
    naturalKey: naturalKey.toString('utf8'),
    fence: BigInt(String(row.fence)),
    change,
    deleted: row.deleted === true,
    liveRev,
    acl: row.acl as string[],
    hashes: {
      sourceToken: optional(row.source_token),
      raw: optional(row.raw_hash),
      text: optional(row.text_hash),
      meta: optional(row.meta_hash),
      acl: optional(row.acl_hash),
      parseFp: optional(row.parse_fp),
      chunkFp: optional(row.chunk_fp),
    },
    standing,
    released: of.released,
    prepared: standing.intents.some(
      (intent) =>
        intent.rev === begun && intent.batchId === of.batchId && carriesOut(intent.seq, change),
    ),
    inDoubt: begun > 0,
  };
}

/** A generation as its row says. */
export function generationOf(row: SqlRow): GenerationFacts {
  return {
    generationId: String(row.generation_id),
    collectionId: String(row.collection_id),
    embedder: String(row.embedder),
    embedSpec: row.embed_spec as Record<string, unknown>,
    embedFp: String(row.embed_fp),
    dims: Number(row.dims),
    sink: String(row.sink),
    state: row.state as GenerationFacts['state'],
    drifted: row.drifted_at !== null,
  };
}

/** What the batch holds, newly claimed or still, with how many documents turned out to be poison. */
async function claimRows(query: Query, claim: Claim) {
  const { tenant, sourceId, batchId } = claim;
  let poisoned = 0;
  // An earlier try of this batch may still run somewhere: the higher fence refuses it.
  const again = await query(
    `update etl_document set fence = fence + 1, claim_until = now() + interval '15 minutes'
     where tenant_id = $1 and claim_batch = $2 and source_id = $3 returning doc_id`,
    [tenant, batchId, sourceId],
  );
  if (again.length === 0) {
    poisoned = await freeLapsed(query, tenant, sourceId);
    await claimDue(query, claim);
  }
  const rows = await bounded(query, held, [tenant, batchId]);
  const docIds = rows.map((row) => String(row.doc_id));
  const standing = await loadStanding(query, tenant, docIds);
  const released = await loadReleased(query, tenant, docIds);
  return { rows, standing, released, poisoned };
}

/** Sources, generations and claims (etl.md §5, §6). */
export function createEtlClaims(
  parts: LedgerParts,
): Pick<Ledger, 'findSource' | 'generations' | 'claimBatch' | 'renewClaims'> {
  const { db } = parts;
  return {
    findSource: (tenant, sourceId) =>
      db.batch(tenant, async (query): Promise<SourceFacts | undefined> => {
        const [row] = await query(
          `select s.*, coalesce(nullif(s.acl, '{}'), c.acl_default, '{}') as access, c.pipeline from etl_source s
           join etl_collection c on c.tenant_id = s.tenant_id and c.collection_id = s.collection_id
           where s.tenant_id = $1 and s.source_id = $2`,
          [tenant, sourceId],
        );
        if (row === undefined) return undefined;
        return {
          sourceId,
          collectionId: String(row.collection_id),
          kind: row.kind as SourceFacts['kind'],
          config: row.config as Record<string, unknown>,
          state: row.state as SourceFacts['state'],
          acl: row.access as string[],
          retainRaw: row.retain_raw === true,
          pipeline: row.pipeline as Pipeline,
        };
      }),
    generations: (tenant, collectionId) =>
      db.batch(tenant, async (query) => {
        const rows = await query(
          `select * from etl_generation where tenant_id = $1 and collection_id = $2 and state <> 'DROPPED'
           order by state <> 'LIVE', generation_id`,
          [tenant, collectionId],
        );
        return rows.map(generationOf);
      }),
    claimBatch: async (claim) => {
      const { tenant, batchId } = claim;
      const { rows, standing, released, poisoned } = await db.batch(tenant, (query) =>
        claimRows(query, claim),
      );
      for (let told = 0; told < poisoned; told++)
        parts.quarantined?.({ stage: quarantineReasons.poison.stage, reason: 'poison' });
      return all(rows, (row) => {
        const of = standing.get(String(row.doc_id)) ?? { manifests: [], intents: [] };
        const open = released.get(String(row.doc_id)) ?? [];
        return claimedOf(parts, { tenant, batchId, standing: of, released: open }, row);
      });
    },
    renewClaims: (tenant, batchId) =>
      db.batch(tenant, async (query) => {
        await query(
          `update etl_document set claim_until = now() + interval '15 minutes' where tenant_id = $1 and claim_batch = $2`,
          [tenant, batchId],
        );
      }),
  };
}
