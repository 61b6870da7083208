import pg from 'pg';
import type { RecordManager } from './foreign-modules.js';

/** Keys in memory with the time they were seen last. */
export function memoryRecords(): RecordManager {
  const seen = new Map<string, number>();
  let last = 0;
  return {
    createSchema: async () => undefined,
    // Two runs within a millisecond would else count as one.
    getTime: async () => (last = Math.max(last + 0.001, Date.now())),
    update: async (keys, { timeAtLeast = 0 } = {}) => {
      const now = (last = Math.max(last + 0.001, Date.now()));
      for (const key of keys) seen.set(key, Math.max(now, timeAtLeast));
    },
    exists: async (keys) => keys.map((key) => seen.has(key)),
    listKeys: async ({ before = Number.POSITIVE_INFINITY, limit } = {}) =>
      [...seen].flatMap(([key, at]) => (at < before ? [key] : [])).slice(0, limit),
    deleteKeys: async (keys) => {
      for (const key of keys) seen.delete(key);
    },
  };
}

const schema = `
  create schema if not exists langchain;
  create table if not exists langchain.upsertion_record (
    uuid uuid primary key default gen_random_uuid(), key text not null, namespace text not null,
    updated_at double precision not null, group_id text, unique (key, namespace));
  create index if not exists updated_at_index on langchain.upsertion_record (updated_at);
  create index if not exists key_index on langchain.upsertion_record (key);
  create index if not exists namespace_index on langchain.upsertion_record (namespace);
  create index if not exists group_id_index on langchain.upsertion_record (group_id)`;

/** The tables and statements of the community package's record manager for Postgres, over one pool. */
export async function postgresRecords(
  databaseUrl: string,
  namespace: string,
): Promise<{ manager: RecordManager; close: () => Promise<void> }> {
  const pool = new pg.Pool({ connectionString: databaseUrl, max: 4 });
  const table = 'langchain.upsertion_record';
  await pool.query(schema);
  const getTime = async (): Promise<number> => {
    const { rows } = await pool.query<{ now: string }>(
      'select extract(epoch from clock_timestamp()) as now',
    );
    return Number(rows[0]?.now);
  };
  const manager: RecordManager = {
    createSchema: async () => undefined,
    getTime,
    update: async (keys, { groupIds } = {}) => {
      if (keys.length === 0) return;
      const now = await getTime();
      const values = keys.map(
        (_, at) => `($${at * 4 + 1}, $${at * 4 + 2}, $${at * 4 + 3}, $${at * 4 + 4})`,
      );
      await pool.query(
        `insert into ${table} (key, namespace, updated_at, group_id) values ${values.join(', ')}
         on conflict (key, namespace) do update set updated_at = excluded.updated_at`,
        keys.flatMap((key, at) => [key, namespace, now, groupIds?.[at] ?? null]),
      );
    },
    exists: async (keys) => {
      const { rows } = await pool.query<{ known: boolean }>(
        `select r.key is not null as known from unnest($2::text[]) with ordinality as k(key, place)
         left join ${table} r on r.key = k.key and r.namespace = $1 order by k.place`,
        [namespace, keys],
      );
      return rows.map(({ known }) => known);
    },
    listKeys: async ({ before = Number.POSITIVE_INFINITY, limit = 1_000_000 } = {}) => {
      const { rows } = await pool.query<{ key: string }>(
        `select key from ${table} where namespace = $1 and updated_at < $2 limit $3`,
        [namespace, before, limit],
      );
      return rows.map(({ key }) => key);
    },
    deleteKeys: async (keys) => {
      await pool.query(`delete from ${table} where namespace = $1 and key = any($2)`, [
        namespace,
        keys,
      ]);
    },
  };
  return { manager, close: () => pool.end() };
}
