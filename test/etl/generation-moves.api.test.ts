import { createEtlWorld, createSource, type EtlWorld } from './etl-world.js';

let world: EtlWorld;
beforeAll(async () => {
  world = await createEtlWorld();
}, 60_000);
afterAll(() => world.close());

const operator = { subject: 'prn_operator', roles: ['operator' as const] };
const approver = { subject: 'prn_approver', roles: ['approver' as const] };
const unknown = 'col_01KAJ4Y4G0000000000000000Z';

const pointersOf = (body: Record<string, unknown>) =>
  (body.errors as { pointer: string }[]).map(({ pointer }) => pointer).sort();

async function collection() {
  const tenant = world.newTenant();
  const { collectionId, sourceId } = await createSource(world, tenant, { kind: 'upload' });
  return { tenant, sourceId, path: `/v1/collections/${collectionId}` };
}

describe('POST /v1/collections/{id}:rebuild', () => {
  const rebuild = (tenant: string, path: string, more: object = {}) =>
    world.send(`POST ${path}:rebuild`, { tenant, ...operator, body: {}, ...more });

  it('builds the live generation anew beside it: the same embedder and store, one at a time', async () => {
    const { tenant, path } = await collection();
    const asked = { idempotencyKey: 'rebuild-once' };
    const begun = await rebuild(tenant, path, asked);
    const id = String(begun.body.id);
    const workflowId = `etl/${tenant}/${id}`;
    expect(begun).toMatchObject({
      status: 202,
      body: { status: 'BUILDING', workflowId, links: { self: path } },
    });
    const startsOf = () => world.started.filter((start) => start.workflowId === workflowId);
    expect(startsOf()).toMatchObject([{ workflowType: 'reembedCollection' }]);
    const { body } = await world.send(`GET ${path}`, { tenant });
    const generations = body.generations as Record<string, unknown>[];
    const facts = ({ embedder, embedFp, dims, sink, lexicalSink }: Record<string, unknown>) => ({
      ...{ embedder, embedFp, dims, sink, lexicalSink },
    });
    const live = generations.find(({ state }) => state === 'LIVE') ?? {};
    const building = generations.find(({ state }) => state === 'BUILDING') ?? {};
    expect(building).toMatchObject({ id });
    expect(facts(building)).toEqual(facts(live));
    expect(await rebuild(tenant, path)).toMatchObject({
      status: 409,
      body: { code: 'GENERATION_BUILDING', running: id },
    });
    // The same request again is the same rebuild.
    expect((await rebuild(tenant, path, asked)).body).toEqual(begun.body);
    const said = await world.database.asSuperuser(
      `select entry::jsonb->'actor'->>'subject' as subject from audit_entry
       where tenant_id = $1 and entry::jsonb->>'action' = 'etl.reembed-requested'`,
      [tenant],
    );
    expect(said).toEqual([{ subject: 'prn_operator' }]);
  });

  it('names wrong fields, and is refused to other tenants and to whoever does not operate', async () => {
    const { tenant, path } = await collection();
    const wrong = await rebuild(tenant, path, { body: { holdMs: -1, embedder: 'lsa' } });
    expect([wrong.status, pointersOf(wrong.body)]).toEqual([400, ['/embedder', '/holdMs']]);
    const notFound = { status: 404, body: { code: 'NOT_FOUND' } };
    expect(await rebuild(world.newTenant(), path)).toMatchObject(notFound);
    expect(await rebuild(tenant, `/v1/collections/${unknown}`)).toMatchObject(notFound);
    for (const roles of [['data-steward'], ['approver'], ['service']])
      expect(await rebuild(tenant, path, { roles })).toMatchObject({
        status: 403,
        body: { code: 'FORBIDDEN' },
      });
    const { body } = await world.send(`GET ${path}`, { tenant });
    expect(body.generations).toMatchObject([{ state: 'LIVE' }]);
    const started = world.started.filter(({ workflowId }) => workflowId.includes(`/${tenant}/`));
    expect(started.map(({ workflowType }) => workflowType)).not.toContain('reembedCollection');
  });
});

describe('POST /v1/collections/{id}:decide', () => {
  /** A generation that is being built, as the steward asked for it. */
  async function building() {
    const made = await collection();
    const { tenant, path } = made;
    const body = { embedder: 'hash-384' };
    const begun = await world.send(`POST ${path}:reembed`, { tenant, body });
    const generationId = String(begun.body.id);
    const decide = (decision: string, more: object = {}) =>
      world.send(`POST ${path}:decide`, {
        ...{ tenant, ...approver, body: { generationId, decision, reason: 'looked at it' } },
        ...more,
      });
    /** What the gate leaves behind where it could not decide. */
    const askUntil = (when: string) =>
      world.database.asSuperuser(
        `update etl_generation set outcome = jsonb_build_object('decideUntil', ${when}) where generation_id = $1`,
        [generationId],
      );
    return { ...made, generationId, decide, askUntil };
  }

  it('lets another person put a generation live that its gate left open, once and in time', async () => {
    const { tenant, generationId, decide, askUntil } = await building();
    expect(await decide('flip')).toMatchObject({
      status: 409,
      body: { code: 'ILLEGAL_TRANSITION', from: 'BUILDING', allowed: ['drop'] },
    });
    await askUntil(`now() - interval '1 second'`);
    expect(await decide('flip')).toMatchObject({ status: 409, body: { code: 'DECISION_EXPIRED' } });
    await askUntil(`now() + interval '1 day'`);
    const own = { subject: 'prn_steward' };
    expect(await decide('flip', own)).toMatchObject({
      status: 403,
      body: { code: 'SELF_APPROVAL' },
    });
    const key = { idempotencyKey: 'flip-once' };
    const decided = await decide('flip', key);
    expect(decided).toMatchObject({
      status: 200,
      body: { generationId, decision: 'flip', decidedBy: 'prn_approver', reason: 'looked at it' },
    });
    expect(world.woken.map(({ workflowId }) => workflowId)).toContain(
      `etl/${tenant}/${generationId}`,
    );
    expect((await decide('flip', key)).body).toEqual(decided.body);
    for (const decision of ['flip', 'drop'])
      expect(await decide(decision)).toMatchObject({
        status: 409,
        body: { code: 'ALREADY_DECIDED' },
      });
  });

  it('puts nothing live that lacks a document, and drops what is built at any time, whoever asked for it', async () => {
    const { tenant, sourceId, decide, askUntil } = await building();
    await world.upload(sourceId, { tenant }, { options: { key: 'a.md' }, file: '# A' });
    await world.database.asSuperuser(`update etl_document set live_rev = 1 where tenant_id = $1`, [
      tenant,
    ]);
    await askUntil(`now() + interval '1 day'`);
    expect(await decide('flip')).toMatchObject({
      status: 409,
      body: { code: 'GENERATION_BUILDING', lagging: 1 },
    });
    const own = { subject: 'prn_steward' };
    expect(await decide('drop', own)).toMatchObject({ status: 200, body: { decision: 'drop' } });
    const other = await building();
    expect(await other.decide('drop')).toMatchObject({ status: 200, body: { decision: 'drop' } });
  });

  it('names wrong fields, and is refused to other tenants, for other collections and without the permission', async () => {
    const { tenant, path, generationId, decide } = await building();
    const wrong = { body: { generationId: 'gen_x', decision: 'maybe', reason: '', extra: 1 } };
    const refused = await decide('flip', wrong);
    expect([refused.status, pointersOf(refused.body)]).toEqual([
      400,
      ['/decision', '/extra', '/generationId', '/reason'],
    ]);
    const notFound = { status: 404, body: { code: 'NOT_FOUND' } };
    expect(await decide('drop', { tenant: world.newTenant() })).toMatchObject(notFound);
    const beside = await createSource(world, tenant, { kind: 'upload' });
    const body = { generationId, decision: 'drop', reason: 'r' };
    const elsewhere = `POST /v1/collections/${beside.collectionId}:decide`;
    expect(await world.send(elsewhere, { tenant, ...approver, body })).toMatchObject(notFound);
    for (const roles of [['data-steward'], ['operator'], ['service']])
      expect(await decide('drop', { roles })).toMatchObject({
        status: 403,
        body: { code: 'FORBIDDEN' },
      });
    const { body: standing } = await world.send(`GET ${path}`, { tenant });
    expect(standing.generations).toEqual(
      expect.arrayContaining([expect.objectContaining({ id: generationId, state: 'BUILDING' })]),
    );
  });
});
