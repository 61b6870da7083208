import { openClient } from './open-client.js';

/** References inside a document, whatever its shape. */
const inside = (column: string): string =>
  `(regexp_matches(${column}::text, '"([a-z0-9-]+/sha256/[0-9a-f]{64})"', 'g'))[1]`;

const named = `
  select distinct ref from (
    select artifact_ref as ref from model_version
    union all select source_ref from publication
    union all select artifact_ref from etl_fit
    union all select content_ref from etl_change_event
    union all select raw_ref from etl_revision
    union all select ${inside('manifest')} from snapshot
    union all select ${inside('embed_spec')} from etl_generation) as found
  where ref ~ '^[a-z0-9-]+/sha256/[0-9a-f]{64}$' order by ref`;

/**
 * References of all artifacts that rows name by their digest, such as `acme/sha256/<hex>`. The product never removes one.
 * @param databaseUrl URL of a superuser, past every policy
 */
export async function readNamedArtifacts(databaseUrl: string): Promise<string[]> {
  const client = await openClient({
    connectionString: databaseUrl,
    connectionTimeoutMillis: 5_000,
  });
  try {
    const { rows } = await client.query<{ ref: string }>(named);
    return rows.map(({ ref }) => ref);
  } finally {
    await client.end();
  }
}
