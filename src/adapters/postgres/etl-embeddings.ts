import type { LedgerEmbeddings } from '../../domain/etl/ledger-embeddings.js';
import type { LedgerShards } from '../../domain/etl/ledger-shards.js';
import type { Database } from './database.js';

/** Little-endian float32, as the memo keeps it. */
function bytesOf(vector: Float32Array): Buffer {
  const bytes = Buffer.alloc(vector.length * 4);
  vector.forEach((value, at) => bytes.writeFloatLE(value, at * 4));
  return bytes;
}

function vectorOf(bytes: Buffer): Float32Array {
  const vector = new Float32Array(bytes.length / 4);
  for (let at = 0; at < vector.length; at++) vector[at] = bytes.readFloatLE(at * 4);
  return vector;
}

/** The memo of paid vectors and the token bucket that all workers share (etl.md §9). */
export const createEtlEmbeddings = ({ db }: { db: Database }): LedgerEmbeddings => ({
  findVectors: (tenant, embedFp, textHashes) =>
    db.batch(tenant, async (query) => {
      const rows = await query(
        `select text_hash, vector from etl_embedding_memo where tenant_id = $1 and embed_fp = $2 and text_hash = any($3::text[])`,
        [tenant, embedFp, textHashes],
      );
      return new Map(rows.map((row) => [String(row.text_hash), vectorOf(row.vector as Buffer)]));
    }),
  saveVectors: (tenant, embedFp, vectors) =>
    db.batch(tenant, async (query) => {
      await query(
        `insert into etl_embedding_memo (tenant_id, embed_fp, text_hash, vector)
         select $1, $2, v.hash, v.vector from unnest($3::text[], $4::bytea[]) as v(hash, vector) order by v.hash
         on conflict do nothing`,
        [
          tenant,
          embedFp,
          vectors.map(({ textHash }) => textHash),
          vectors.map(({ vector }) => bytesOf(vector)),
        ],
      );
    }),
  leaseTokens: (tenant, embedFp, { perSecond, burst, want }) =>
    db.batch(tenant, async (query) => {
      await query(
        `insert into etl_rate_bucket (tenant_id, embed_fp, tokens) values ($1, $2, $3) on conflict do nothing`,
        [tenant, embedFp, burst],
      );
      // The clock of Postgres and not the transaction's: whoever waited for the row finds what came in meanwhile.
      const [bucket] = await query(
        `select tokens, updated_at from etl_rate_bucket where tenant_id = $1 and embed_fp = $2 for update`,
        [tenant, embedFp],
      );
      const slice = Math.min(want, Math.max(1, perSecond));
      const [row] = await query(
        `with filled as (select least($3::float8, $4::float8 +
             greatest(0, extract(epoch from clock_timestamp() - $5::timestamptz)) * $6::float8) as tokens)
         update etl_rate_bucket b set tokens = f.tokens - least(floor(f.tokens), $7::float8), updated_at = clock_timestamp()
         from filled f where b.tenant_id = $1 and b.embed_fp = $2
         returning least(floor(f.tokens), $7::float8) as granted, f.tokens`,
        [tenant, embedFp, burst, bucket?.tokens, bucket?.updated_at, perSecond, slice],
      );
      const granted = Number(row?.granted ?? 0);
      const left = Number(row?.tokens ?? 0) - granted;
      const missing = Math.max(0, Math.min(want - granted, slice) - left);
      return { granted, retryAfterMs: Math.ceil((missing / perSecond) * 1_000) };
    }),
});

/** Leases of single-writer stores, fenced by an epoch (etl.md §10). */
export const createEtlShards = ({ db }: { db: Database }): LedgerShards => ({
  acquireShard: (tenant, { generationId, shard, owner, leaseMs }) =>
    db.batch(tenant, async (query) => {
      const [row] = await query(
        `insert into etl_shard as s (tenant_id, generation_id, shard, epoch, owner, lease_until)
         values ($1, $2, $3, 1, $4, clock_timestamp() + make_interval(secs => $5::float8 / 1000))
         on conflict (tenant_id, generation_id, shard) do update set epoch = s.epoch + 1, owner = excluded.owner,
           lease_until = excluded.lease_until
         where s.owner is null or s.owner = excluded.owner or s.lease_until < clock_timestamp() returning epoch`,
        [tenant, generationId, shard, owner, leaseMs],
      );
      return row === undefined ? undefined : { epoch: BigInt(String(row.epoch)) };
    }),
  renewShard: (tenant, { generationId, shard, epoch, leaseMs }) =>
    db.batch(tenant, async (query) => {
      const rows = await query(
        `update etl_shard set lease_until = clock_timestamp() + make_interval(secs => $5::float8 / 1000)
         where tenant_id = $1 and generation_id = $2 and shard = $3 and epoch = $4 and owner is not null returning 1`,
        [tenant, generationId, shard, String(epoch), leaseMs],
      );
      return rows.length === 1;
    }),
  releaseShard: (tenant, { generationId, shard, epoch }) =>
    db.batch(tenant, async (query) => {
      await query(
        `update etl_shard set owner = null, lease_until = null
         where tenant_id = $1 and generation_id = $2 and shard = $3 and epoch = $4`,
        [tenant, generationId, shard, String(epoch)],
      );
    }),
});
