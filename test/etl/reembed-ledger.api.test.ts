import { createEtlFits } from '../../src/adapters/postgres/etl-fits.js';
import { createEtlGenerationMoves } from '../../src/adapters/postgres/etl-collection-moves.js';
import { createEtlGenerations } from '../../src/adapters/postgres/etl-generations.js';
import { createEtlReembeds } from '../../src/adapters/postgres/etl-reembeds.js';
import type { Caller } from '../../src/domain/events/change.js';
import type { DecideGeneration } from '../../src/domain/etl/generation-decision.js';
import type { ChangeRecord } from '../../src/domain/etl/ledger.js';
import { reembedCollectionStart } from '../../src/domain/etl/reembed-contract.js';
import type { FitLedger, ReembedLedger } from '../../src/domain/etl/reembed.js';
import { building, callerOf, collectionId, LedgerWorld, live, upsert } from './ledger-world.js';

let world: LedgerWorld;
let reembeds: ReembedLedger;
let fits: FitLedger;
let moves: ReturnType<typeof createEtlGenerationMoves>;
let tenants = 0;

beforeAll(async () => {
  world = await LedgerWorld.create();
  reembeds = createEtlReembeds({ db: world.database.worker });
  fits = createEtlFits(world.parts);
  moves = createEtlGenerationMoves(world.database.api, {
    reembedCollection: reembedCollectionStart,
  });
});
afterAll(() => world.close());

const push = (key: string, seq: number, text: string): ChangeRecord =>
  upsert(key, `v${seq}`, { seq: BigInt(seq), contentRef: text });

/** A tenant with these documents, and a generation that has none of them. */
async function tenantWith(...texts: string[]): Promise<string> {
  const tenant = `re-${++tenants}`;
  await world.seed(tenant);
  await world.record(tenant, ...texts.map((text, at) => push(`k${at}`, at + 1, text)));
  await world.drain(tenant);
  await world.addGeneration(tenant, building, 'BUILDING');
  return tenant;
}
const sql = (text: string, values: unknown[]) => world.database.asSuperuser(text, values);
const slice = (tenant: string, batchId: string, maxDocuments = 9) =>
  world.ledger.claimLagging({ tenant, generationId: building, batchId, maxDocuments });
const lapse = (tenant: string) =>
  sql(`update etl_document set claim_until = now() - interval '1 second' where tenant_id = $1`, [
    tenant,
  ]);
async function write(tenant: string, batchId: string) {
  const writes = await world.ledger.openWrites(tenant, batchId);
  world.apply(tenant, writes);
  return world.commit(tenant, { batchId }, writes);
}
async function textsOf(tenant: string, maxTexts: number): Promise<string[]> {
  const texts: string[] = [];
  for await (const text of fits.chunkTexts(tenant, { collectionId, maxTexts })) texts.push(text);
  return texts;
}
const personOf = (tenant: string, subject: string): Caller => ({
  tenant,
  actor: { subject, kind: 'person', roles: [], via: 'test' },
});

test('a slice that is tried again goes on with what it holds, and its earlier try writes nothing', async () => {
  const t = await tenantWith('one', 'two', 'three');
  expect(await slice(t, 'bat_a', 2)).toEqual({ claimed: 2 });
  const early = await world.ledger.openWrites(t, 'bat_a');
  expect(await slice(t, 'bat_a', 2)).toEqual({ claimed: 2 });
  expect(await world.commit(t, { batchId: 'bat_a' }, early)).toEqual([]);
  expect(await write(t, 'bat_a')).toHaveLength(2);
  expect((await reembeds.readReembed({ tenant: t, generationId: building })).lagging).toBe(1);
});

test('what a lost slice held is taken over; what a batch claimed with a change goes back to its source', async () => {
  const t = await tenantWith('one', 'two');
  await slice(t, 'bat_lost');
  expect(await slice(t, 'bat_b')).toEqual({ claimed: 0 });
  await lapse(t);
  expect(await slice(t, 'bat_b')).toEqual({ claimed: 2 });
  expect(await write(t, 'bat_lost')).toEqual([]);
  expect(await write(t, 'bat_b')).toHaveLength(2);

  const other = await tenantWith('one', 'two');
  await world.record(other, push('k0', 9, 'changed'));
  expect((await world.claim(other)).documents).toHaveLength(1);
  await lapse(other);
  expect(await slice(other, 'bat_c')).toEqual({ claimed: 1 });
});

test('released claims come last, so that what has no vector holds up nobody', async () => {
  const t = await tenantWith('one', 'two', 'three');
  await slice(t, 'bat_a', 1);
  const [stuck] = await world.ledger.openWrites(t, 'bat_a');
  await reembeds.releaseClaims(t, 'bat_a');
  expect(await slice(t, 'bat_b', 2)).toEqual({ claimed: 2 });
  const others = await world.ledger.openWrites(t, 'bat_b');
  expect(others.map(({ docId }) => docId)).not.toContain(stuck?.docId);
});

test('a revision in doubt in the live generation alone does not keep a new one from the live revision', async () => {
  const t = `re-${++tenants}`;
  await world.seed(t);
  await world.record(t, push('k0', 1, 'one'));
  await world.drain(t);
  await world.record(t, push('k0', 2, 'two'));
  const doubt = await world.claim(t);
  const writes = await world.intend(t, doubt.batchId, doubt.documents);
  await world.addGeneration(t, building, 'BUILDING');
  await sql(`update etl_document set claim_batch = null, claim_until = null where tenant_id = $1`, [
    t,
  ]);
  expect(await slice(t, 'bat_a')).toEqual({ claimed: 1 });
  expect(await write(t, 'bat_a')).toHaveLength(1);
  expect(await world.texts(t, { generationId: building })).toEqual(['one']);
  // The zombie of the doubtful revision wakes up; whoever finishes it writes both.
  world.apply(t, writes);
  await sql(
    `update etl_change_event set state = 'PENDING', batch_id = null where tenant_id = $1 and seq = 2`,
    [t],
  );
  await world.drain(t);
  expect(await world.texts(t)).toEqual(['two']);
  expect(await world.texts(t, { generationId: building })).toEqual(['two']);
});

test('a generation comes with the end of its fit, which reads what is searchable', async () => {
  const t = `re-${++tenants}`;
  await world.seed(t);
  await world.record(t, push('a', 1, 'one\n\ntwo'), push('b', 2, 'three'), push('c', 3, 'gone'));
  await world.drain(t);
  await world.record(t, { ...push('c', 4, ''), kind: 'delete', priority: 2 });
  await world.drain(t);
  const gate = { epsilonBp: 100 };
  const reader = { subject: 'prn_a', groups: ['staff'] };
  const request = { embedder: 'lsa', gate, holdMs: 1_000 };
  const caller = personOf(t, 'prn_a');
  const fitted = { embedder: 'lsa', embedSpec: {}, embedFp: 'none', dims: 384, fitted: true };
  const started = await moves.reembed(caller, { collectionId, request, reader }, ({ sink }) => ({
    ...{ ...fitted, sink },
  }));
  const generationId = started.body.id;
  const fitId = String(started.starts[0]?.input.fitId);
  expect(started.body.status).toBe('FITTING');
  const key = { tenant: t, generationId };
  expect((await reembeds.readReembed(key)).state).toBe('FITTING');
  await expect(moves.rebuild(caller, collectionId, { holdMs: 0 })).rejects.toMatchObject({
    code: 'GENERATION_BUILDING',
  });
  const texts = await textsOf(t, 100);
  expect(texts.map((text) => text.split('\n').at(-1)).sort()).toEqual(['one', 'three', 'two']);
  expect(await textsOf(t, 0)).toEqual([]);
  const done = {
    ...{ artifactRef: 'ref', artifactDigest: `sha256:${'a'.repeat(64)}` as const },
    ...{ embedFp: 'sha256:lsa', texts: 3, terms: 2, bytes: 9 },
  };
  await fits.completeFit(callerOf(t), fitId, done);
  await fits.completeFit(callerOf(t), fitId, { ...done, embedFp: 'sha256:other' });
  const [row] = await sql(
    `select embed_fp, state, created_by from etl_generation where generation_id = $1`,
    [generationId],
  );
  expect(row).toEqual({ embed_fp: 'sha256:lsa', state: 'BUILDING', created_by: 'prn_a' });
  expect(await reembeds.readReembed(key)).toMatchObject({ state: 'BUILDING', lagging: 2 });
});

test('one evaluation per state of the collection; two equal zeros are no PASS', async () => {
  const t = await tenantWith('one');
  const gate = {
    evalSetId: 'evs_1',
    epsilonBp: 100,
    holdMs: 0,
    reader: { subject: 's', groups: [] },
  };
  await sql(
    `update etl_generation set gate = $2 where tenant_id = $1 and generation_id = '${building}'`,
    [t, JSON.stringify(gate)],
  );
  const begin = () => reembeds.beginGate(callerOf(t), building);
  const first = await begin();
  expect(await begin()).toEqual(first);
  const key = { tenant: t, generationId: building };
  expect(await reembeds.readGate(key)).toMatchObject({ over: false });
  const finish = (recall: number) =>
    sql(
      `update retrieval_eval_run set state = 'DONE', verdict = 'PASS', result = $2 where tenant_id = $1`,
      [t, JSON.stringify({ candidate: { recallAt50: recall }, baseline: { recallAt50: recall } })],
    );
  await finish(0);
  expect(await reembeds.readGate(key)).toEqual({ over: true, verdict: 'INCONCLUSIVE' });
  await finish(0.5);
  expect(await reembeds.readGate(key)).toEqual({ over: true, verdict: 'PASS' });
  await sql(
    `update etl_collection set generation_epoch = generation_epoch + 1 where tenant_id = $1`,
    [t],
  );
  expect(await begin()).not.toEqual(first);
});

test('a decision is one row of another person, in time, about a generation that is whole', async () => {
  const t = await tenantWith('one');
  const decide = (more: Partial<DecideGeneration> = {}, subject = 'prn_b') =>
    moves.decideGeneration(personOf(t, subject), collectionId, {
      generationId: building as DecideGeneration['generationId'],
      decision: 'flip',
      reason: 'reads well',
      ...more,
    });
  const refused = (code: string): unknown => expect.objectContaining({ code });
  await expect(decide()).rejects.toEqual(refused('ILLEGAL_TRANSITION'));
  const ask = (decisionMs: number) =>
    reembeds.askDecision(callerOf(t), building, { reason: 'gate INCONCLUSIVE', decisionMs });
  await ask(60_000);
  await ask(1);
  const key = { tenant: t, generationId: building };
  expect((await reembeds.readReembed(key)).decisionLeftMs).toBeGreaterThan(30_000);
  await expect(decide({}, 'prn_x')).rejects.toEqual(refused('SELF_APPROVAL'));
  await expect(decide()).rejects.toEqual(refused('GENERATION_BUILDING'));
  await slice(t, 'bat_a');
  await write(t, 'bat_a');
  const decided = await decide();
  expect(decided.wakes.map(({ workflowId }) => workflowId)).toEqual([`etl/${t}/${building}`]);
  expect((await reembeds.readReembed(key)).decision).toBe('flip');
  await expect(decide({ decision: 'drop' })).rejects.toEqual(refused('ALREADY_DECIDED'));
  await expect(
    sql(`update etl_generation_decision set decision = 'drop' where tenant_id = $1`, [t]),
  ).rejects.toThrow('append-only');

  const late = await tenantWith('one');
  await reembeds.askDecision(callerOf(late), building, { reason: 'gate ERROR', decisionMs: 0 });
  const asked = { generationId: building as DecideGeneration['generationId'], reason: 'late' };
  await expect(
    moves.decideGeneration(personOf(late, 'prn_b'), collectionId, { ...asked, decision: 'flip' }),
  ).rejects.toEqual(refused('DECISION_EXPIRED'));
});

test('a drop leaves no manifest and no intent, and says why; a rollback wakes both runs', async () => {
  const t = await tenantWith('one');
  const { dropGeneration, flipGeneration } = createEtlGenerations({ db: world.database.worker });
  await slice(t, 'bat_a');
  await write(t, 'bat_a');
  const flip = {
    collectionId,
    generationId: building,
    epoch: 0,
    holdMs: 60_000,
    reason: 'no gate',
  };
  await flipGeneration(callerOf(t), flip);
  const key = { tenant: t, generationId: building };
  expect(await reembeds.readReembed(key)).toMatchObject({ state: 'LIVE', previousLiveId: live });
  const back = await moves.rollback(personOf(t, 'prn_b'), collectionId, {
    generationId: live,
    reason: 'worse',
  });
  expect(back.wakes.map(({ workflowId }) => workflowId)).toEqual([
    `etl/${t}/${building}`,
    `etl/${t}/${live}`,
  ]);
  expect((await reembeds.readReembed(key)).holdLeftMs).toBeGreaterThan(0);
  await world.record(t, push('k1', 7, 'more'));
  const { batchId, documents } = await world.claim(t);
  await world.intend(t, batchId, documents);
  await dropGeneration(callerOf(t), building, 'rolled back');
  const [left] = await sql(
    `select (select count(*)::int from etl_manifest where generation_id = $2 and tenant_id = $1) as manifests,
       (select count(*)::int from etl_intent where generation_id = $2 and tenant_id = $1) as intents,
       (select outcome->>'reason' from etl_generation where generation_id = $2 and tenant_id = $1) as reason`,
    [t, building],
  );
  expect(left).toEqual({ manifests: 0, intents: 0, reason: 'rolled back' });
});

/** The evaluation that a gate began, ended with this weight. */
async function judge(tenant: string, candidate: { alphaBp: number; fitted: boolean }) {
  await sql(`update etl_generation set gate = $2 where tenant_id = $1 and generation_id = $3`, [
    tenant,
    { evalSetId: 'evs_x', epsilonBp: 100, holdMs: 1, reader: { subject: 'prn_x', groups: [] } },
    building,
  ]);
  await reembeds.beginGate(callerOf(tenant), building);
  await sql(
    `update retrieval_eval_run set state = 'DONE', verdict = 'PASS', result = $2 where tenant_id = $1`,
    [tenant, { candidate }],
  );
}

test('the weight of the lexical leg moves with the generation it was fitted for, and back with a rollback', async () => {
  const { flipGeneration } = createEtlGenerations({ db: world.database.worker });
  const flip = { collectionId, generationId: building, epoch: 0, holdMs: 60_000, reason: 'PASS' };
  const alphaOf = async (t: string) =>
    (await sql(`select alpha_bp from etl_collection where tenant_id = $1`, [t]))[0]?.alpha_bp;
  const setAlpha = (t: string, alphaBp: number | null) =>
    sql(`update etl_collection set alpha_bp = $2 where tenant_id = $1`, [t, alphaBp]);
  const built = async (alphaBp: number | null) => {
    const t = await tenantWith('one');
    await setAlpha(t, alphaBp);
    await slice(t, 'bat_a');
    await write(t, 'bat_a');
    return t;
  };
  const goBack = (t: string, generationId: string) =>
    moves.rollback(personOf(t, 'prn_b'), collectionId, { generationId, reason: 'worse' });

  const fitted = await built(9_000);
  await judge(fitted, { alphaBp: 6_500, fitted: true });
  await flipGeneration(callerOf(fitted), flip);
  expect(await alphaOf(fitted)).toBe(6_500);
  await goBack(fitted, live);
  expect(await alphaOf(fitted)).toBe(9_000);
  // A generation that has answered before gets back what it answered with last.
  await setAlpha(fitted, 8_000);
  await goBack(fitted, building);
  expect(await alphaOf(fitted)).toBe(6_500);
  await goBack(fitted, live);
  expect(await alphaOf(fitted)).toBe(8_000);

  // Too few queries to fit: judged with the default of the embedder, and that is what answers.
  const unfitted = await built(7_000);
  await judge(unfitted, { alphaBp: 9_000, fitted: false });
  await flipGeneration(callerOf(unfitted), flip);
  expect(await alphaOf(unfitted)).toBeNull();
  await goBack(unfitted, live);
  expect(await alphaOf(unfitted)).toBe(7_000);

  const unjudged = await built(7_000);
  await flipGeneration(callerOf(unjudged), flip);
  expect(await alphaOf(unjudged)).toBe(7_000);
});
