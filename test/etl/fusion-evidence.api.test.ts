import { createEtlWorld, type EtlWorld } from './etl-world.js';

let world: EtlWorld;
beforeAll(async () => {
  world = await createEtlWorld();
}, 60_000);
afterAll(() => world.close());

test('RRF becomes the default only where the newest evaluation of the live generation allows it', async () => {
  const tenant = world.newTenant();
  const body = { name: 'handbook', purposes: ['support'] };
  const made = await world.send('POST /v1/collections', { tenant, body });
  const collectionId = String(made.body.id);
  const live = String(made.body.liveGenerationId);
  let evaluations = 0;
  const evaluated = (rrfAllowed: boolean, of: { generationId?: string; state?: string } = {}) =>
    world.database.asSuperuser(
      `insert into retrieval_eval_run (tenant_id, evaluation_id, eval_set_id, collection_id, generation_id, plan, state,
         result, requested_by) values ($1, $2, 'evs_1', $3, $4, '{}', $5, $6, 'prn_a')`,
      [
        ...[tenant, `evr_${++evaluations}`, collectionId, of.generationId ?? live],
        ...[of.state ?? 'DONE', JSON.stringify({ legs: { lexical: 0.7, dense: 0.6, rrfAllowed } })],
      ],
    );
  const change = (more: object) =>
    world.send(`PATCH /v1/collections/${collectionId}`, { tenant, body: more });
  const refused = {
    status: 409,
    body: { code: 'FUSION_UNPROVEN', errors: [{ pointer: '/fusion' }] },
  };
  expect(await change({ fusion: 'rrf' })).toMatchObject(refused);
  expect(await change({ fusion: 'weighted', alphaBp: 9_000 })).toMatchObject({ status: 200 });
  await evaluated(true, { generationId: 'gen_other' });
  await evaluated(true, { state: 'RUNNING' });
  expect(await change({ fusion: 'rrf' })).toMatchObject(refused);
  await evaluated(true);
  await evaluated(false);
  expect(await change({ fusion: 'rrf' })).toMatchObject(refused);
  await evaluated(true);
  expect(await change({ fusion: 'rrf' })).toMatchObject({ status: 200 });
  await evaluated(false);
  // It is the default already: a change of something else may say so again.
  expect(await change({ fusion: 'rrf', alphaBp: 5_000 })).toMatchObject({ status: 200 });
});
