import { createEtlWorld, createSource, type EtlWorld } from './etl-world.js';

const chunking = { targetChars: 800, maxChars: 1_000 };

describe('another pipeline of a collection', () => {
  let world: EtlWorld;
  beforeAll(async () => {
    world = await createEtlWorld();
  }, 60_000);
  afterAll(() => world.close());

  /** Documents that were pushed and are indexed. */
  async function pushed(tenant: string, count: number) {
    const made = await createSource(world, tenant, { kind: 'upload' });
    for (let at = 0; at < count; at++)
      await world.upload(
        made.sourceId,
        { tenant },
        { options: { key: `${at}.md` }, file: `text ${at}` },
      );
    await world.database.asSuperuser(
      `update etl_change_event set state = 'APPLIED', applied_at = now() where source_id = $1`,
      [made.sourceId],
    );
    return made;
  }

  const change = (tenant: string, collectionId: string, body: object) =>
    world.send(`PATCH /v1/collections/${collectionId}`, { tenant, body });

  const pendingOf = async (sourceId: string) => {
    const rows = await world.database.asSuperuser(
      `select 1 from etl_change_event where source_id = $1 and state = 'PENDING'`,
      [sourceId],
    );
    return rows.length;
  };

  const wakesOf = (tenant: string, sourceId: string) =>
    world.woken.filter(({ workflowId }) => workflowId === `etl/${tenant}/${sourceId}`).length;

  it('refuses another list of readers, because documents that are there would keep theirs', async () => {
    const tenant = world.newTenant();
    const { collectionId } = await createSource(world, tenant, { kind: 'upload' });
    const refused = await change(tenant, collectionId, {
      aclDefault: ['user:ada'],
      autoFlip: false,
    });
    expect(refused).toMatchObject({ status: 400, body: { errors: [{ pointer: '/aclDefault' }] } });
    const { body } = await world.send(`GET /v1/collections/${collectionId}`, { tenant });
    expect(body.aclDefault).toEqual([]);
  });

  it('reaches what a paused source pushed: its changes wait until it is resumed', async () => {
    const tenant = world.newTenant();
    const { collectionId, sourceId } = await pushed(tenant, 2);
    await world.send(`POST /v1/sources/${sourceId}:pause`, { tenant, body: { reason: 'later' } });
    const changed = await change(tenant, collectionId, { chunking });
    expect(changed).toMatchObject({ status: 200, body: { documentsAffected: 2, scans: [] } });
    expect(await pendingOf(sourceId)).toBe(2);
    const resumed = await world.send(`POST /v1/sources/${sourceId}:resume`, {
      ...{ tenant, body: { reason: 'now' } },
    });
    expect(resumed.body).toMatchObject({ state: 'ACTIVE', backlog: { pending: 2 } });
  });

  it('reaches what a deleted source left behind, and wakes whoever applies it', async () => {
    const tenant = world.newTenant();
    const { collectionId, sourceId } = await pushed(tenant, 3);
    await world.send(`DELETE /v1/sources/${sourceId}?mode=keep`, { tenant });
    await world.database.asSuperuser(
      `update etl_source set state = 'DELETED' where source_id = $1`,
      [sourceId],
    );
    const before = wakesOf(tenant, sourceId);
    const changed = await change(tenant, collectionId, { chunking });
    expect(changed.body).toMatchObject({ documentsAffected: 3 });
    expect(await pendingOf(sourceId)).toBe(3);
    expect(wakesOf(tenant, sourceId)).toBe(before + 1);
  });

  it('leaves alone what goes with its source', async () => {
    const tenant = world.newTenant();
    const { collectionId, sourceId } = await pushed(tenant, 1);
    await world.send(`DELETE /v1/sources/${sourceId}?mode=delete_documents`, { tenant });
    const changed = await change(tenant, collectionId, { chunking });
    expect(changed.body).toMatchObject({ documentsAffected: 0 });
    expect(await pendingOf(sourceId)).toBe(0);
  });

  it('scans a paused folder when it is resumed, and counts its documents only where it is scanned', async () => {
    const tenant = world.newTenant();
    const folder = { kind: 'folder', config: { path: '/allowed/docs' } };
    const { collectionId, sourceId } = await createSource(world, tenant, folder);
    await world.database.asSuperuser(`update etl_scan set state = 'APPLIED' where source_id = $1`, [
      sourceId,
    ]);
    await world.database.asSuperuser(
      `insert into etl_document (tenant_id, doc_id, source_id, collection_id, key_hash, natural_key_enc)
       select $1, gen_random_uuid(), $2, $3, n::text, '' from generate_series(1, 4) n`,
      [tenant, sourceId, collectionId],
    );
    await world.send(`POST /v1/sources/${sourceId}:pause`, { tenant, body: { reason: 'later' } });
    const changed = await change(tenant, collectionId, { chunking });
    expect(changed.body).toMatchObject({ documentsAffected: 0, scans: [] });
    const started = world.started.length;
    const resumed = await world.send(`POST /v1/sources/${sourceId}:resume`, {
      ...{ tenant, body: { reason: 'now' } },
    });
    const [start] = world.started.slice(started);
    expect(start).toMatchObject({ workflowType: 'scanSource' });
    expect(start?.workflowId).toBe(`etl/${tenant}/${String(resumed.body.runningScanId)}`);
    await world.database.asSuperuser(`update etl_scan set state = 'APPLIED' where source_id = $1`, [
      sourceId,
    ]);
    const again = await change(tenant, collectionId, { piiPolicy: { version: 'v2' } });
    expect(again.status).toBe(200);
    expect(again.body).toMatchObject({ documentsAffected: 4 });
  });
});
