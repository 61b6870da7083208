import { errorTable } from '../../src/domain/errors.js';
import { digestOf } from '../../src/domain/digest.js';
import type { Answer } from '../inference/inference-world.js';
import { aRow, createInferenceWorld, type InferenceWorld } from '../inference/inference-world.js';

let world: InferenceWorld;
let workers: { stop: () => Promise<void> };
beforeAll(async () => {
  world = await createInferenceWorld();
  workers = await world.startWorkers();
}, 60_000);
afterAll(async () => {
  await workers.stop();
  await world.close();
}, 60_000);

const sql = (text: string, values: unknown[]) => world.database.asSuperuser(text, values);
const read = (tenant: string, path: string): Promise<Answer> =>
  world.send({ tenant, role: 'auditor' }, { path });
const subject = { model: 'tint', version: 2, env: 'dev', rolloutPlanDigest: 'sha256:1' };
const report = JSON.stringify({ accuracy: 0.9, verdict: 'PASS' });

/** The evidence behind version 2 of `tint`: run, snapshot, evaluation, approval with one signature, release, epoch 3. */
async function seedEvidence(tenant: string): Promise<void> {
  const snapshot = `sha256:${'0'.repeat(64)}`;
  await sql(
    `insert into snapshot (tenant_id, snapshot_id, dataset, publication_id, contract_id, state, rows, rejected, manifest)
     values ($1, $2, 'colours', 'pub_1', 'con_1', 'LIVE', 400, 0, '{"consentAsOf": null, "sourceDigest": "sha256:5"}')`,
    [tenant, snapshot],
  );
  await sql(
    `insert into training_run (tenant_id, run_id, model, state, input, snapshot_id, trainer_kind, version, artifact_digest,
       requested_by) values ($1, 'trn_1', 'tint', 'REGISTERED', '{}', $2, 'logistic', 2, $3, 'prn_engineer')`,
    [tenant, snapshot, world.digests[1]],
  );
  await sql(`update model_version set run_id = 'trn_1' where tenant_id = $1 and version = 2`, [
    tenant,
  ]);
  await sql(
    `insert into evaluation (tenant_id, evaluation_id, model, version, state, input, verdict, report, report_digest,
       requested_by) values ($1, 'evl_1', 'tint', 2, 'COMPLETED', '{}', 'PASS', $2, $3, 'prn_engineer')`,
    [tenant, report, digestOf('anneal.evaluation.report.v1', JSON.parse(report))],
  );
  await sql(
    `insert into approval (tenant_id, approval_id, model, version, env, evaluation_id, state, subject, subject_digest,
       rollout_plan, required, comment, requested_by, expires_at)
     values ($1, 'apr_1', 'tint', 2, 'dev', 'evl_1', 'APPROVED', $2, $3, '{}', 1, 'c', 'prn_engineer', now())`,
    [tenant, JSON.stringify(subject), digestOf('anneal.approval.subject.v1', subject)],
  );
  await sql(
    `insert into approval_decision (tenant_id, decision_id, approval_id, principal_id, decision, payload, signature, key_id,
       nonce) values ($1, 'dec_1', 'apr_1', 'prn_approver', 'approve', '{}', $2, 'approval-v1', 'n1')`,
    [tenant, Buffer.alloc(64)],
  );
  await sql(
    `insert into release (tenant_id, release_id, env, kind, name, version, strategy, approval_id, state, plan, plan_digest,
       reason, requested_by) values ($1, 'rel_1', 'dev', 'model', 'tint', 2, 'blue_green', 'apr_1', 'SUCCEEDED', '{}',
       'sha256:2', 'r', 'prn_operator')`,
    [tenant],
  );
  await sql(
    `insert into routing_history (tenant_id, env, kind, name, epoch, document, actor, reason, release_id)
     values ($1, 'dev', 'model', 'tint', 3, '{"active": 2, "previous": 1}', 'workflow:release', 'promote', 'rel_1')`,
    [tenant],
  );
}

describe('GET /v1/decisions/{id}/provenance', () => {
  it('answers the whole chain from decision to snapshot, every digest recomputed', async () => {
    const tenant = await world.newTenant();
    await seedEvidence(tenant);
    const { body } = await world.ask(tenant, { body: { subject: { key: 'customer-9' } } });
    const chain = await read(tenant, `/v1/decisions/${body.id}/provenance`);
    expect(chain.status).toBe(200);
    expect(chain.body).toMatchObject({
      decision: { id: body.id, arm: 'active', verified: true, auditSeq: null },
      routing: { epoch: 3, actor: 'workflow:release', document: { active: 2 } },
      release: { id: 'rel_1', planDigest: 'sha256:2', requestedBy: 'prn_operator' },
      approval: {
        id: 'apr_1',
        verified: true,
        requestedBy: 'prn_engineer',
        decisions: [{ by: 'prn_approver', decision: 'approve', verified: false }],
      },
      evaluation: { id: 'evl_1', verdict: 'PASS', verified: true },
      version: { version: 2, artifactDigest: world.digests[1], verified: true },
      contract: { verified: true },
      run: { id: 'trn_1', trainer: 'logistic', verified: true },
      snapshot: { dataset: 'colours', rows: 400, sourceDigest: 'sha256:5' },
    });
    const { bucket } = (chain.body as { decision?: { bucket: number } }).decision ?? {};
    expect(bucket).toBeGreaterThanOrEqual(0);
    expect(bucket).toBeLessThan(10_000);
  });

  it.each([
    ['decision', `update decision set version = 1 where tenant_id = $1`, 'decision'],
    [
      'report',
      `update evaluation set report = '{"accuracy":1}' where tenant_id = $1`,
      'evaluation',
    ],
    ['subject', `update approval set subject = '{"model":"x"}' where tenant_id = $1`, 'approval'],
    [
      'contract',
      `update model_version set contract = jsonb_set(contract, '{input,fields,0,max}', '99') where tenant_id = $1`,
      'contract',
    ],
    ['run', `update training_run set artifact_digest = 'sha256:0' where tenant_id = $1`, 'run'],
  ])('shows an edited %s as not verified', async (_what, edit, link) => {
    const tenant = await world.newTenant();
    await seedEvidence(tenant);
    const { body } = await world.ask(tenant);
    const path = `/v1/decisions/${body.id}/provenance`;
    const verified = async () =>
      ((await read(tenant, path)).body as unknown as Record<string, { verified: boolean } | null>)[
        link
      ]?.verified;
    expect(await verified()).toBe(true);
    await sql('alter table decision disable trigger append_only', []);
    await sql(edit, [tenant]);
    await sql('alter table decision enable trigger append_only', []);
    expect(await verified()).toBe(false);
  });

  it('a version that was never released has a shorter chain, not a false one', async () => {
    const tenant = await world.newTenant();
    const { body } = await world.ask(tenant);
    const chain = await read(tenant, `/v1/decisions/${body.id}/provenance`);
    expect(chain.body).toMatchObject({
      decision: { verified: true },
      routing: null,
      release: null,
      approval: null,
      evaluation: null,
      version: { verified: true },
      run: null,
      snapshot: null,
    });
  });
});

describe('GET /v1/decisions', () => {
  it('finds decisions by version, subject and time, in pages, and shows no content', async () => {
    const tenant = await world.newTenant();
    const first = await world.ask(tenant, { body: { subject: { key: 's1' } } });
    const between = new Date(Date.now() + 1).toISOString();
    const pinned = await world.ask(tenant, { body: { model: 'tint@v1', subject: { key: 's2' } } });
    const ids = async (query: string) =>
      ((await read(tenant, `/v1/decisions?${query}`)).body.items as { decisionId: string }[]).map(
        ({ decisionId }) => decisionId,
      );
    expect(await ids('')).toEqual([pinned.body.id, first.body.id]);
    expect(await ids('version=1')).toEqual([pinned.body.id]);
    expect(await ids('target=tint&epoch=3&version=2')).toEqual([first.body.id]);
    expect(await ids(`to=${between}`)).toEqual([first.body.id]);
    const one = await read(tenant, `/v1/decisions/${first.body.id}`);
    const token = String(one.body.subjectToken);
    expect(await ids(`subjectToken=${token}`)).toEqual([first.body.id]);
    for (const content of ['inputs', 'output', 'outputs'])
      expect(one.body).not.toHaveProperty(content);
    const page = await read(tenant, '/v1/decisions?limit=1');
    const next = await ids(`limit=1&cursor=${String(page.body.nextCursor)}`);
    expect(next).toEqual([first.body.id]);
    const other = await world.newTenant();
    expect((await read(other, `/v1/decisions/${first.body.id}`)).status).toBe(404);
    expect((await world.send({ tenant }, { path: '/v1/decisions' })).status).toBe(403);
  });
});

describe('feedback', () => {
  const say = (tenant: string, body: object) =>
    world.send(
      { tenant },
      {
        path: '/v1/feedback',
        body: {
          type: 'label',
          value: 'no',
          source: { kind: 'system', id: 'ledger' },
          observedAt: '2026-11-21T10:00:00Z',
          ...body,
        },
      },
    );

  it('keeps every entry, one per statement, and names the label that counts', async () => {
    const tenant = await world.newTenant();
    const { id: decisionId } = (await world.ask(tenant, { body: { inputs: aRow } })).body;
    const user = { kind: 'user', id: 'jane@example.com' };
    expect((await say(tenant, { decisionId, value: 'yes', source: user })).status).toBe(201);
    expect((await say(tenant, { decisionId })).status).toBe(201);
    const again = await say(tenant, { decisionId });
    expect(again.status).toBe(200);
    await say(tenant, { decisionId, type: 'score', value: 0.2 });
    const all = await read(tenant, `/v1/feedback?decisionId=${decisionId}`);
    expect(all.body.items).toHaveLength(3);
    expect(all.body.effectiveLabel).toEqual({ value: 'no', feedbackId: again.body.feedbackId });
    expect(JSON.stringify(all.body)).not.toContain('jane');
  });

  it.each([
    ['a label that the model cannot predict', { value: 'maybe' }, 'FEEDBACK_TYPE_INVALID'],
    ['a score out of range', { type: 'score', value: 2 }, 'FEEDBACK_TYPE_INVALID'],
    ['an unknown decision', { decisionId: 'inf_01JZ8Q4T5V6W7X8Y9ZABCDEFGH' }, 'NOT_FOUND'],
  ] as const)('refuses %s', async (_what, more, code) => {
    const tenant = await world.newTenant();
    const { id: decisionId } = (await world.ask(tenant)).body;
    const answer = await say(tenant, { decisionId, ...more });
    expect([answer.status, answer.body.code]).toEqual([errorTable[code].status, code]);
  });
});
