import type { AuditActor, AuditFacts } from '../../domain/audit/contract.js';
import {
  SEAL_ACTION,
  type AuditLeaf,
  type ChainHead,
  type ChainRow,
} from '../../domain/audit/chain.js';
import type { SealFacts } from '../../domain/audit/chain.js';
import { canonicalJson } from '../../domain/digest.js';
import type { Caller } from '../../domain/events/change.js';
import type { Database, SqlRow } from './database.js';
import { Prisma } from './generated/client.js';

/** What a list of audit entries is narrowed to. */
export interface AuditFilter {
  action?: string | undefined;
  /** Resource type, or `<type>/<id>`. */
  resource?: string | undefined;
  /** Inclusive and exclusive bound of the entry's time, in milliseconds since the epoch. */
  fromMs?: number | undefined;
  toMs?: number | undefined;
}

const SEALER: AuditActor = { subject: 'system', kind: 'system', roles: [], via: 'sealer' };

const chainRow = (row: SqlRow): ChainRow => ({
  seq: Number(row.seq),
  atMicros: BigInt(row.at_micros as string | bigint),
  entry: String(row.entry),
  entryHash: row.entry_hash as Uint8Array,
  prevHash: row.prev_hash as Uint8Array,
  hash: row.hash as Uint8Array,
});

const leafRow = (row: SqlRow): AuditLeaf & { sealedSeq: number } => ({
  leafId: String(row.leaf_id),
  kind: String(row.kind),
  digest: row.digest as Uint8Array,
  createdMicros: BigInt(row.created_micros as string),
  sealedSeq: Number(row.sealed_seq ?? 0),
});

/** One member of the entry; null where a tampered row is no JSON at all. */
const member = (...path: string[]): Prisma.Sql =>
  Prisma.sql`case when pg_input_is_valid(entry, 'jsonb') then entry::jsonb #>> ${path}::text[] end`;

function conditions(tenant: string, filter: AuditFilter, before: number | undefined): Prisma.Sql {
  const [type, ...id] = filter.resource?.split('/') ?? [];
  const all = [Prisma.sql`tenant_id = ${tenant}`];
  if (before !== undefined) all.push(Prisma.sql`seq < ${BigInt(before)}`);
  if (filter.fromMs !== undefined) {
    all.push(Prisma.sql`at_micros >= ${BigInt(filter.fromMs) * 1000n}`);
  }
  if (filter.toMs !== undefined) all.push(Prisma.sql`at_micros < ${BigInt(filter.toMs) * 1000n}`);
  if (filter.action !== undefined) all.push(Prisma.sql`${member('action')} = ${filter.action}`);
  if (type !== undefined) all.push(Prisma.sql`${member('resource', 'type')} = ${type}`);
  if (id.length > 0) all.push(Prisma.sql`${member('resource', 'id')} = ${id.join('/')}`);
  return Prisma.join(all, ' and ');
}

/** The audit chain: what may be read of it, sealed into it, and the entries that stand outside any change. */
export const createAuditStore = (db: Database) => ({
  /** Entries of one tenant, newest first, strictly before `before`. */
  listEntries: (
    tenant: string,
    filter: AuditFilter,
    page: { limit: number; before: number | undefined },
  ): Promise<ChainRow[]> =>
    db.withTenant(tenant, async (tx) => {
      const rows = await tx.$queryRaw<SqlRow[]>`
        select seq, at_micros, entry, entry_hash, prev_hash, hash from audit_entry
        where ${conditions(tenant, filter, page.before)} order by seq desc limit ${page.limit}`;
      return rows.map(chainRow);
    }),

  /** Where the chains end: of every tenant, and of the system. */
  heads: async (): Promise<({ tenant: string } & ChainHead)[]> =>
    (await db.call('select * from audit_heads()', [])).map((row) => ({
      tenant: String(row.tenant_id),
      seq: Number(row.seq),
      hash: row.hash as Uint8Array,
    })),

  /** Where one chain ends; undefined before its first entry. */
  head: (tenant: string): Promise<ChainHead | undefined> =>
    db.withTenant(tenant, async (tx) => {
      const row = await tx.auditHead.findUnique({ where: { tenantId: tenant } });
      return row === null ? undefined : { seq: Number(row.seq), hash: row.hash };
    }),

  /** Links `from` to `to`, both included, in order of sequence, with the leaves that they sealed. */
  readPage: async (
    tenant: string,
    from: number,
    to: number,
  ): Promise<{ rows: ChainRow[]; leaves: Map<number, AuditLeaf[]> }> => {
    const rows = await db.call('select * from audit_page($1, $2, $3)', [tenant, from, to]);
    const found = await db.call('select * from audit_leaves($1, $2, $3, null)', [tenant, from, to]);
    const leaves = new Map<number, AuditLeaf[]>();
    for (const leaf of found.map(leafRow)) {
      const group = leaves.get(leaf.sealedSeq);
      if (group === undefined) leaves.set(leaf.sealedSeq, [leaf]);
      else group.push(leaf);
    }
    return { rows: rows.map(chainRow), leaves };
  },

  /** The hash of one link; undefined where it is gone. */
  hashAt: async (tenant: string, seq: number): Promise<Uint8Array | undefined> => {
    const [row] = await db.call('select hash from audit_page($1, $2, $2)', [tenant, seq]);
    return row?.hash as Uint8Array | undefined;
  },

  /** Tenants that have leaves to seal (role anneal_worker). */
  tenantsToSeal: async (): Promise<string[]> =>
    (await db.call('select t from audit_open_tenants() as t', [])).map((row) => String(row.t)),

  /** Leaves of one tenant that no entry seals yet, at most `limit`, in no order. */
  openLeaves: async (tenant: string, limit: number): Promise<AuditLeaf[]> =>
    (await db.call('select * from audit_leaves($1, null, null, $2)', [tenant, limit])).map(leafRow),

  /**
   * Seals leaves by one entry with their Merkle root.
   * @returns false where another process seals them; nothing is changed then
   */
  seal: async (tenant: string, facts: SealFacts, leafIds: string[]): Promise<boolean> => {
    const entry = canonicalJson({
      action: SEAL_ACTION,
      actor: SEALER,
      resource: { type: 'audit_leaf', id: leafIds[0] ?? '' },
      after: facts,
    });
    const [row] = await db.call('select audit_seal_leaves($1, $2, $3) as sealed', [
      tenant,
      entry,
      leafIds,
    ]);
    return row?.sealed === true;
  },

  /** Commits one entry of its own, in one round trip: a refusal, a sensitive read. */
  recordRefusal: async (caller: Caller, facts: AuditFacts): Promise<void> => {
    const { actor, requestId, workflowId, runId } = caller;
    const entry = canonicalJson({ ...facts, actor, requestId, workflowId, runId });
    await db.call('select audit_record($1, $2)', [caller.tenant, entry]);
  },
});
