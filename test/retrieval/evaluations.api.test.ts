import { docId } from '../../src/domain/etl/fingerprints.js';
import { building, collectionId, live, sourceId } from '../etl/ledger-world.js';
import type { Answer } from '../support/serve-routes.js';
import { createRetrievalWorld, type RetrievalWorld } from './retrieval-world.js';

let world: RetrievalWorld;
let tenants = 0;
beforeAll(async () => {
  world = await createRetrievalWorld();
}, 60_000);
afterAll(() => world.close());

const sets = '/v1/retrieval/eval-sets';
const evaluations = '/v1/retrieval/evaluations';
const notFound = { status: 404, body: { code: 'NOT_FOUND' } };
const forbidden = { status: 403, body: { code: 'FORBIDDEN' } };
const strangers = ['service', 'operator', 'approver'] as const;
const anyDocument = '2c1c8f4e-9d7a-8b3c-a1d2-0123456789ab';

const pointersOf = ({ body }: Answer) =>
  (body.errors as { pointer: string }[]).map(({ pointer }) => pointer).sort();

async function tenant(): Promise<string> {
  const id = `judged-${++tenants}`;
  await world.documents.seed(id);
  return id;
}

/** No key holds a word of a query. */
const keyOf = (at: number): string => `page-${String.fromCharCode(97 + at)}.txt`;

/** Queries about one person and one subject each, with the one document that answers. */
const judged = (count: number, documentOf: (at: number) => string = () => anyDocument) =>
  Array.from({ length: count }, (_, at) => ({
    ...{ id: `q${at}`, text: `subject${at} of Ada` },
    ...{ judgements: [{ documentId: documentOf(at), gain: 1 }] },
  }));

const store = (t: string, queries: unknown[], more: object = {}) => {
  const body = { collectionId, name: 'questions', queries };
  return world.send(`POST ${sets}`, { tenant: t, body, ...more });
};
const evaluate = (t: string, asked: object, more: object = {}) =>
  world.send(`POST ${evaluations}`, {
    ...{ tenant: t, groups: ['staff'], body: { purpose: 'support', ...asked } },
    ...more,
  });
const setOf = async (t: string, queries: unknown[] = judged(20)): Promise<string> =>
  String((await store(t, queries)).body.id);

describe('POST /v1/retrieval/eval-sets', () => {
  it('stores judged queries, scrubbed and sealed, and reads them back by number', async () => {
    const t = await tenant();
    const made = await store(t, judged(24));
    expect(made).toMatchObject({
      status: 201,
      body: { collectionId, name: 'questions', queryCount: 24 },
    });
    const found = await world.send(`GET ${sets}/${String(made.body.id)}`, { tenant: t });
    const splits = found.body.splits as { fit: number; report: number };
    expect(found).toMatchObject({ status: 200, body: { ...made.body, judgementCount: 24 } });
    expect(splits.fit + splits.report).toBe(24);
    // The digest is over what is kept, so the same questions about another person are the same set.
    const other = judged(24).map((query) => ({
      ...query,
      text: query.text.replace('Ada', 'PERSON_1'),
    }));
    expect((await store(t, other)).body.digest).toBe(made.body.digest);
    const changed = await store(
      t,
      judged(24).map((query) => ({ ...query, text: 'other' })),
    );
    expect(changed.body.digest).not.toBe(made.body.digest);
    const rows = await world.documents.rows(
      t,
      `select text_enc from retrieval_eval_query where tenant_id = $tenant`,
    );
    expect(rows).toHaveLength(72);
    for (const { text_enc } of rows) expect((text_enc as Buffer).includes('subject')).toBe(false);
  });

  it('refuses a set that is too small to fit anything on, with the number that is enough', async () => {
    const t = await tenant();
    expect(await store(t, judged(19))).toMatchObject({
      status: 409,
      body: { code: 'SET_TOO_SMALL', minimum: 20 },
    });
    expect((await store(t, judged(20))).status).toBe(201);
  });

  it('names every wrong field', async () => {
    const t = await tenant();
    const [first] = judged(1);
    const queries = [
      { ...first, text: '', split: 'both', judgements: [{ documentId: 'x', gain: 101, why: 1 }] },
      { ...first, id: 'b', judgements: [] },
    ];
    const refused = await store(t, queries);
    expect([refused.status, pointersOf(refused)]).toEqual([
      400,
      [
        ...['/queries/0/judgements/0/documentId', '/queries/0/judgements/0/gain'],
        ...['/queries/0/judgements/0/why', '/queries/0/split', '/queries/0/text'],
        '/queries/1/judgements',
      ],
    ]);
    const twice = await store(t, [...judged(20), ...judged(1)]);
    expect([twice.status, pointersOf(twice)]).toEqual([400, ['/queries']]);
    const body = { collectionId: 'col_x', name: 'Not a name', queries: judged(20), extra: 1 };
    const wrong = await world.send(`POST ${sets}`, { tenant: t, body });
    expect(pointersOf(wrong)).toEqual(['/collectionId', '/extra', '/name']);
  });

  it('is nothing to other tenants, nor to whoever does not administer', async () => {
    const t = await tenant();
    const stranger = `unknown-${t}`;
    expect(await store(stranger, judged(20))).toMatchObject(notFound);
    const id = await setOf(t);
    expect(await world.send(`GET ${sets}/${id}`, { tenant: stranger })).toMatchObject(notFound);
    for (const role of strangers) {
      expect(await store(t, judged(20), { roles: [role] })).toMatchObject(forbidden);
      expect(await world.send(`GET ${sets}/${id}`, { tenant: t, roles: [role] })).toMatchObject(
        forbidden,
      );
    }
    const kept = `select 1 from retrieval_eval_set where tenant_id in ($tenant, 'unknown-${t}')`;
    expect(await world.documents.rows(t, kept)).toHaveLength(1);
  });
});

describe('POST and GET /v1/retrieval/evaluations', () => {
  it('starts one run for the live generation, which ends with a verdict and its figures', async () => {
    const t = await tenant();
    const texts = Array.from({ length: 20 }, (_, at) => [
      keyOf(at),
      `This page of the handbook is about subject${at}, and about nothing that any other page is about.`,
    ]);
    await world.documents.put(t, Object.fromEntries(texts) as Record<string, string>);
    await world.documents.run(t);
    const key = (await world.documents.parts.keyOf(t)).reveal();
    const evalSetId = await setOf(
      t,
      judged(20, (at) => docId(key, sourceId, keyOf(at))),
    );
    const once = { idempotencyKey: 'evaluate-once' };
    const begun = await evaluate(t, { evalSetId }, once);
    const id = String(begun.body.id);
    const self = `${evaluations}/${id}`;
    const workflowId = `retrieval/${t}/${id}`;
    expect(begun).toMatchObject({
      status: 202,
      body: { status: 'PENDING', workflowId, links: { self } },
    });
    expect((await evaluate(t, { evalSetId }, once)).body).toEqual(begun.body);
    const starts = world.started.filter((start) => start.workflowId === workflowId);
    expect(starts[0]).toMatchObject({ workflowType: 'evaluateRetrieval', input: { tenant: t } });
    const find = () => world.send(`GET ${self}`, { tenant: t });
    expect(await find()).toMatchObject({
      status: 200,
      body: {
        ...{ id, evalSetId, collectionId, generationId: live, state: 'PENDING', verdict: null },
        ...{ baseline: { kind: 'lexical' }, epsilon: 0.01, requestedBy: 'prn_steward' },
      },
    });
    await world.measure(t, id);
    // So few queries decide nothing, though each of them finds its document.
    expect(await find()).toMatchObject({
      body: {
        ...{ state: 'DONE', verdict: 'INCONCLUSIVE', failure: null },
        result: { candidate: { ndcgAt10: 1, recallAt50: 1 }, baseline: { ndcgAt10: 1 } },
      },
    });
  });

  it('names every wrong field', async () => {
    const t = await tenant();
    const asked = {
      evalSetId: 'evs_x',
      generationId: 'gen_x',
      epsilon: 0.6,
      seed: -1,
      purpose: '',
    };
    const refused = await evaluate(t, { ...asked, baseline: { kind: 'other' }, extra: 1 });
    expect([refused.status, pointersOf(refused)]).toEqual([
      400,
      ['/baseline/kind', '/epsilon', '/evalSetId', '/extra', '/generationId', '/purpose', '/seed'],
    ]);
  });

  it('takes sets and generations of its tenant and collection alone, and says which it does not know', async () => {
    const t = await tenant();
    const evalSetId = await setOf(t);
    const other = await tenant();
    expect(await evaluate(other, { evalSetId })).toMatchObject(notFound);
    // The other tenant's own set does not open a generation that only the first one has.
    await world.documents.addGeneration(t, building, 'BUILDING');
    const own = await setOf(other);
    const unknownTo = (pointer: string) => ({
      status: 404,
      body: { code: 'NOT_FOUND', errors: [{ pointer, code: 'unknown' }] },
    });
    expect(await evaluate(other, { evalSetId: own, generationId: building })).toMatchObject(
      unknownTo('/generationId'),
    );
    const baseline = { kind: 'generation', generationId: building };
    expect(await evaluate(other, { evalSetId: own, baseline })).toMatchObject(
      unknownTo('/baseline/generationId'),
    );
    const begun = await evaluate(t, { evalSetId, generationId: building });
    expect(begun.status).toBe(202);
    const path = `${evaluations}/${String(begun.body.id)}`;
    expect(await world.send(`GET ${path}`, { tenant: other })).toMatchObject(notFound);
    const dropped = `update etl_generation set state = 'DROPPED' where tenant_id = $tenant and generation_id = '${building}'`;
    await world.documents.rows(t, dropped);
    expect(await evaluate(t, { evalSetId, generationId: building })).toMatchObject(
      unknownTo('/generationId'),
    );
  });

  it('is refused for a purpose that the collection does not allow, before anything is live, and without the permission', async () => {
    const t = await tenant();
    const evalSetId = await setOf(t);
    expect(await evaluate(t, { evalSetId, purpose: 'marketing' })).toMatchObject({
      status: 403,
      body: { code: 'PURPOSE_DENIED' },
    });
    for (const role of strangers)
      expect(await evaluate(t, { evalSetId }, { roles: [role] })).toMatchObject(forbidden);
    const none = `update etl_collection set live_generation_id = null where tenant_id = $tenant`;
    await world.documents.rows(t, none);
    expect(await evaluate(t, { evalSetId })).toMatchObject({
      status: 409,
      body: { code: 'NOT_YET_INDEXED' },
    });
    const runs = `select 1 from retrieval_eval_run where tenant_id = $tenant`;
    expect(await world.documents.rows(t, runs)).toEqual([]);
  });
});
