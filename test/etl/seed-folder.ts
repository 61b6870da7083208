import { collectionId, live, sourceId, type LedgerWorld } from './ledger-world.js';

let tenants = 0;

/** A tenant with a collection, its live generation, and a folder that is scanned every minute. @returns the tenant */
export async function seedFolder(world: LedgerWorld): Promise<string> {
  const tenant = `due-${(tenants += 1)}`;
  const { asSuperuser } = world.database;
  await asSuperuser(
    `insert into etl_collection (tenant_id, collection_id, name, pipeline, live_generation_id, generation_epoch, acl_default,
       purposes, created_by) values ($1, $2, 'c', '{"chunking":{"targetChars":1200,"maxChars":1600},"piiPolicy":{}}', $3, 1,
       '{group:staff}', '{support}', 'prn_x')`,
    [tenant, collectionId, live],
  );
  await asSuperuser(
    `insert into etl_generation (tenant_id, generation_id, collection_id, embedder, embed_spec, embed_fp, dims, sink, state,
       created_by) values ($1, $2, $3, 'hash-384', '{}', 'sha256:fp', 384, 'lancedb', 'LIVE', 'prn_x')`,
    [tenant, live, collectionId],
  );
  await asSuperuser(
    `insert into etl_source (tenant_id, source_id, collection_id, name, kind, config, acl, state, schedule_ms, retain_raw,
       created_by) values ($1, $2, $3, 's', 'folder', '{"path":"/x"}', '{}', 'ACTIVE', 60000, false, 'prn_x')`,
    [tenant, sourceId, collectionId],
  );
  return tenant;
}
