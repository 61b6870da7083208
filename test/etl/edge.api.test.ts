import { sendDelivery, type Delivery, type Hook } from '../support/signed-delivery.js';
import { createEtlWorld, createSource, type EtlWorld } from './etl-world.js';

const approver = { subject: 'prn_approver', roles: ['approver' as const] };

describe('the edge of etl', () => {
  let world: EtlWorld;
  beforeAll(async () => {
    world = await createEtlWorld();
  }, 60_000);
  afterAll(() => world.close());

  const pointersOf = (body: Record<string, unknown>) =>
    (body.errors as { pointer: string }[]).map(({ pointer }) => pointer).sort();

  it('creates a collection with a live generation once, and refuses with every wrong field', async () => {
    const tenant = world.newTenant();
    const body = { name: 'handbook', purposes: ['support'] };
    const made = await world.send('POST /v1/collections', { tenant, body });
    expect(made).toMatchObject({
      status: 201,
      body: { generations: [{ state: 'LIVE', embedder: 'hash-384' }], counts: { documents: 0 } },
    });
    expect(await world.send('POST /v1/collections', { tenant, body })).toMatchObject({
      status: 409,
      body: { code: 'ALREADY_EXISTS' },
    });
    const unknown = { ...body, name: 'b', embedder: 'nobody', sink: 'nowhere' };
    const refused = await world.send('POST /v1/collections', { tenant, body: unknown });
    expect([refused.status, pointersOf(refused.body)]).toEqual([422, ['/embedder', '/sink']]);
    const small = { ...body, name: 'b', sink: 'small' };
    expect(await world.send('POST /v1/collections', { tenant, body: small })).toMatchObject({
      status: 422,
      body: { code: 'SINK_UNSUPPORTED_DIMS' },
    });
    const other = await world.send(`GET /v1/collections/${String(made.body.id)}`, {
      tenant: world.newTenant(),
    });
    expect(other.status).toBe(404);
  });

  it('says which store answers words, and refuses one that does not go with the store of the vectors', async () => {
    const tenant = world.newTenant();
    const make = (name: string, more: object) =>
      world.send('POST /v1/collections', { tenant, body: { name, purposes: ['x'], ...more } });
    const generations = (answer: Awaited<ReturnType<typeof make>>) => answer.body.generations;
    expect(generations(await make('a', {}))).toMatchObject([
      { sink: 'lancedb', lexicalSink: 'lancedb' },
    ]);
    const named = await make('b', { sink: 'pgvector', lexicalSink: 'lancedb' });
    expect(generations(named)).toMatchObject([{ sink: 'pgvector', lexicalSink: 'lancedb' }]);
    const refusal = {
      status: 422,
      body: {
        code: 'SINK_UNKNOWN',
        errors: [{ pointer: '/lexicalSink', detail: expect.stringContaining('lancedb') as string }],
      },
    };
    const wrong = { sink: 'pgvector', lexicalSink: 'pgvector' };
    expect(await make('c', wrong)).toMatchObject(refusal);
    const path = `/v1/collections/${String(named.body.id)}`;
    const reembed = (more: object) =>
      world.send(`POST ${path}:reembed`, { tenant, body: { embedder: 'hash-384', ...more } });
    expect(await reembed({ lexicalSink: 'small' })).toMatchObject(refusal);
    // Another store brings its own.
    expect(await reembed({ sink: 'lancedb' })).toMatchObject({ status: 202 });
    const after = await world.send(`GET ${path}`, { tenant });
    expect(generations(after)).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ sink: 'lancedb', lexicalSink: 'lancedb', state: 'BUILDING' }),
      ]),
    );
  });

  it('builds one generation at a time and goes back only to one that is held', async () => {
    const tenant = world.newTenant();
    const { collectionId } = await createSource(world, tenant, { kind: 'upload' });
    const path = `/v1/collections/${collectionId}`;
    const hash = { tenant, body: { embedder: 'hash-384' } };
    const first = await world.send(`POST ${path}:reembed`, hash);
    expect(first).toMatchObject({ status: 202, body: { status: 'BUILDING' } });
    expect(await world.send(`POST ${path}:reembed`, hash)).toMatchObject({
      status: 409,
      body: { code: 'GENERATION_BUILDING', running: first.body.id },
    });
    const back = { tenant, body: { generationId: first.body.id, reason: 'r' } };
    expect(await world.send(`POST ${path}:rollback`, back)).toMatchObject({
      status: 409,
      body: { code: 'GENERATION_NOT_HELD' },
    });
    await world.database.asSuperuser(
      `update etl_generation set state = 'HOLDING' where generation_id = '${String(first.body.id)}'`,
    );
    expect(await world.send(`POST ${path}:rollback`, back)).toMatchObject({
      status: 200,
      body: { generationId: first.body.id, generationEpoch: 2 },
    });
  });

  it('shows the fit of an embedder until there is a generation to show', async () => {
    const tenant = world.newTenant();
    const { collectionId } = await createSource(world, tenant, { kind: 'upload' });
    const path = `/v1/collections/${collectionId}`;
    const lsa = { tenant, body: { embedder: 'lsa' } };
    const begun = await world.send(`POST ${path}:reembed`, lsa);
    expect(begun).toMatchObject({ status: 202, body: { status: 'FITTING' } });
    expect(await world.send(`POST ${path}:reembed`, lsa)).toMatchObject({
      status: 409,
      body: { code: 'GENERATION_BUILDING', running: begun.body.id },
    });
    const fit = { generationId: begun.body.id, embedder: 'lsa', state: 'RUNNING' };
    const { body } = await world.send(`GET ${path}`, { tenant });
    expect(body).toMatchObject({ fit, generations: [{ state: 'LIVE' }] });
  });

  it('scans only what can be listed, one scan at a time, and not while paused', async () => {
    const tenant = world.newTenant();
    const { sourceId } = await createSource(world, tenant, {
      kind: 'folder',
      config: { path: '/allowed/docs' },
    });
    const scan = () => world.send(`POST /v1/sources/${sourceId}:scan`, { tenant });
    expect(await scan()).toMatchObject({ status: 409, body: { code: 'SCAN_RUNNING' } });
    await world.database.asSuperuser(
      `update etl_scan set state = 'APPLIED' where source_id = '${sourceId}'`,
    );
    const paused = { tenant, body: { reason: 'maintenance' } };
    await world.send(`POST /v1/sources/${sourceId}:pause`, paused);
    expect(await scan()).toMatchObject({ status: 409, body: { code: 'SOURCE_PAUSED' } });
    const resumed = await world.send(`POST /v1/sources/${sourceId}:resume`, paused);
    const running = expect.stringMatching(/^scn_/) as string;
    expect(resumed).toMatchObject({
      status: 200,
      body: { state: 'ACTIVE', runningScanId: running },
    });
    await world.database.asSuperuser(
      `update etl_scan set state = 'APPLIED' where source_id = '${sourceId}'`,
    );
    expect(await scan()).toMatchObject({ status: 202, body: { status: 'RUNNING' } });
    const bad = { name: 'x', kind: 'folder', config: { path: '/etc' }, acl: ['public'] };
    const { collectionId } = await createSource(world, tenant, { kind: 'upload' });
    const refused = await world.send('POST /v1/sources', {
      tenant,
      body: { ...bad, collectionId },
    });
    expect([refused.status, pointersOf(refused.body)]).toEqual([422, ['/config/path']]);
    const open = { collectionId, name: 'y', kind: 'upload' };
    expect(await world.send('POST /v1/sources', { tenant, body: open })).toMatchObject({
      status: 422,
      body: { code: 'ACL_REQUIRED' },
    });
  });

  it('lets another person decide once on a mass deletion, while there is time', async () => {
    const tenant = world.newTenant();
    const { source, sourceId } = await createSource(world, tenant, {
      kind: 'folder',
      config: { path: '/allowed/docs' },
    });
    const id = String(source.runningScanId);
    const decide = (more: object = {}) =>
      world.send(`POST /v1/scans/${id}:decide`, {
        tenant,
        ...approver,
        ...more,
        body: { decision: 'apply', reason: 'moved on purpose' },
      });
    const set = (sql: string) =>
      world.database.asSuperuser(`update etl_scan set ${sql} where source_id = '${sourceId}'`);
    expect(await decide()).toMatchObject({ status: 409, body: { code: 'ILLEGAL_TRANSITION' } });
    await set(`state = 'WAITING', expires_at = now() - interval '1 second'`);
    expect(await decide()).toMatchObject({ status: 409, body: { code: 'DECISION_EXPIRED' } });
    await set(`expires_at = now() + interval '1 day'`);
    const own = { subject: 'prn_steward', roles: ['approver'] };
    expect(await decide(own)).toMatchObject({ status: 403, body: { code: 'SELF_APPROVAL' } });
    expect(await decide()).toMatchObject({
      status: 200,
      body: { decision: 'apply', decidedBy: 'prn_approver' },
    });
    expect(world.woken.map(({ workflowId }) => workflowId)).toContain(`etl/${tenant}/${id}`);
    expect(await decide()).toMatchObject({ status: 409, body: { code: 'ALREADY_DECIDED' } });
  });

  it('takes a document as a stream, shows it, hides it when it is deleted, and says why not indexed', async () => {
    const tenant = world.newTenant();
    const { sourceId } = await createSource(world, tenant, { kind: 'upload' });
    const options = { key: 'guide.md', acl: ['group:staff'] };
    const put = await world.upload(sourceId, { tenant }, { options, file: '# Guide\n\ntext' });
    expect(put).toMatchObject({ status: 202, body: { recorded: 1 } });
    const wrong = { key: '', acl: ['everybody'], nonsense: 1 };
    const refused = await world.upload(sourceId, { tenant }, { options: wrong, file: 'x' });
    expect(pointersOf(refused.body)).toEqual([
      '/options/acl/0',
      '/options/key',
      '/options/nonsense',
    ]);
    const exe = { options: { key: 'a.exe' }, file: 'MZ' };
    expect((await world.upload(sourceId, { tenant }, exe)).status).toBe(415);
    const large = { options: { key: 'a.txt' }, file: new Uint8Array(64 * 1024 * 1024 + 1) };
    expect((await world.upload(sourceId, { tenant }, large)).status).toBe(413);
    const list = await world.send(`GET /v1/documents?sourceId=${sourceId}`, { tenant });
    const [document] = list.body.items as { id: string }[];
    const path = `/v1/documents/${document?.id ?? ''}`;
    expect(await world.send(`GET ${path}`, { tenant })).toMatchObject({
      body: { state: 'PENDING', lineage: [{ kind: 'upsert', state: 'PENDING' }] },
    });
    expect((await world.send(`GET ${path}`, { tenant: world.newTenant() })).status).toBe(404);
    const deleted = await world.send(`DELETE ${path}?suppress=true`, { tenant });
    expect(deleted.status).toBe(202);
    expect(await world.send(`GET ${path}`, { tenant })).toMatchObject({
      body: { state: 'DELETED' },
    });
  });

  it('says of text that it is no longer kept, was erased, or is nothing to this reader', async () => {
    const tenant = world.newTenant();
    const { sourceId } = await createSource(world, tenant, { kind: 'upload' });
    const options = { key: 'guide.md', acl: ['public'] };
    await world.upload(sourceId, { tenant }, { options, file: '# Guide' });
    const run = (sql: string) => world.database.asSuperuser(sql, [tenant]);
    const [document] = await run(`select doc_id from etl_document where tenant_id = $1`);
    await run(
      `insert into etl_revision (tenant_id, doc_id, rev, raw_hash, text_hash, meta_hash, parse_fp, chunk_fp, media_type, state)
       select $1, doc_id, n, '', '', '', '', '', 'text/plain', case n when 1 then 'SUPERSEDED' else 'ERASED' end
       from etl_document, generate_series(1, 2) n where tenant_id = $1`,
    );
    const read = (rev: number, purpose = 'support') => {
      const path = `/v1/documents/${String(document?.doc_id)}/revisions/${rev}/text`;
      return world.send(`GET ${path}?purpose=${purpose}`, { tenant, roles: ['service'] });
    };
    const gone = (code: string) => ({ status: 410, body: { code } });
    expect(await read(1)).toMatchObject(gone('REVISION_EXPIRED'));
    expect(await read(2)).toMatchObject(gone('REVISION_ERASED'));
    expect(await read(3)).toMatchObject({ status: 404 });
    expect(await read(1, 'marketing')).toMatchObject({ status: 404 });
  });

  it('accepts a signed delivery once, and nothing that is unsigned, changed or old', async () => {
    const tenant = world.newTenant();
    const { source, sourceId } = await createSource(world, tenant, { kind: 'webhook' });
    const hook = source.hook as Hook;
    const message = JSON.stringify({ key: 'faq.md', content: '# FAQ\n\nRotate keys yearly.' });
    const deliver = (change: Partial<Delivery> = {}, path = hook.path) =>
      sendDelivery(world.url, { ...hook, path }, { id: 'dlv_1', body: message, ...change });
    const first = await deliver();
    expect(first).toMatchObject({ status: 202, body: { recorded: 1 } });
    expect((await deliver()).body).toEqual(first.body);
    const listed = await world.send(`GET /v1/documents?sourceId=${sourceId}`, { tenant });
    expect(listed.body.items).toHaveLength(1);
    expect(await deliver({ id: 'dlv_2', sent: `${message} ` })).toMatchObject({
      status: 401,
      body: { code: 'SIGNATURE_INVALID' },
    });
    expect(await deliver({ at: Date.now() - 301_000 })).toMatchObject({
      status: 401,
      body: { code: 'SIGNATURE_EXPIRED' },
    });
    const nobodys = hook.path.replace(/.{4}$/, 'ZZZZ');
    expect(await deliver({}, nobodys)).toMatchObject({ body: { code: 'SIGNATURE_INVALID' } });
    expect((await deliver({ sent: 'x'.repeat(262_145) })).status).toBe(413);
  });

  it('releases what a content gate stopped, never what an access gate did, and decides once', async () => {
    const tenant = world.newTenant();
    const { collectionId, sourceId } = await createSource(world, tenant, { kind: 'upload' });
    await world.upload(sourceId, { tenant }, { options: { key: 'a.md' }, file: 'text' });
    const insert = (id: string, reason: string) =>
      world.database.asSuperuser(
        `insert into etl_quarantine_item (tenant_id, item_id, source_id, collection_id, doc_id, stage, reason, evidence, state)
         select tenant_id, '${id}', source_id, '${collectionId}', doc_id, 'gate', '${reason}', '{}', 'OPEN'
         from etl_document where source_id = '${sourceId}'`,
      );
    const mojibake = 'qua_01KAJ4Y4G0000000000000000A';
    const residual = 'qua_01KAJ4Y4G0000000000000000B';
    await insert(mojibake, 'mojibake');
    await insert(residual, 'residual_pii');
    await world.database.asSuperuser(
      `update etl_change_event set state = 'QUARANTINED' where source_id = '${sourceId}'`,
    );
    const release = (id: string) =>
      world.send(`POST /v1/quarantine/${id}:release`, { tenant, body: { reason: 'read it' } });
    expect(await release(residual)).toMatchObject({
      status: 409,
      body: { code: 'NOT_RELEASABLE' },
    });
    expect(await release(mojibake)).toMatchObject({ status: 200, body: { state: 'RELEASED' } });
    const [change] = await world.database.asSuperuser(
      `select state from etl_change_event where source_id = '${sourceId}'`,
    );
    expect(change).toEqual({ state: 'PENDING' });
    expect(await release(mojibake)).toMatchObject({ body: { code: 'ILLEGAL_TRANSITION' } });
    const open = await world.send('GET /v1/quarantine?state=OPEN', { tenant });
    expect(open.body.items).toMatchObject([{ id: residual, releasable: false }]);
  });

  it('hides all documents of a source in the moment it is deleted with them', async () => {
    const tenant = world.newTenant();
    const { sourceId } = await createSource(world, tenant, { kind: 'upload' });
    await world.upload(sourceId, { tenant }, { options: { key: 'a.md' }, file: 'text' });
    expect((await world.send(`DELETE /v1/sources/${sourceId}`, { tenant })).status).toBe(400);
    const gone = await world.send(`DELETE /v1/sources/${sourceId}?mode=delete_documents`, {
      tenant,
    });
    expect(gone).toMatchObject({ status: 202, body: { status: 'DELETING' } });
    const list = await world.send(`GET /v1/documents?sourceId=${sourceId}`, { tenant });
    expect(list.body.items).toMatchObject([{ state: 'DELETED' }]);
  });
});
