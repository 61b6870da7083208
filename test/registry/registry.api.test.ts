import { createRegistryStore } from '../../src/adapters/postgres/registry.js';
import type { VersionPackage } from '../../src/domain/training/run-facts.js';
import type { Caller } from '../../src/domain/events/change.js';
import {
  budget,
  createTrainingWorld,
  loans,
  registerModel,
  type TrainingWorld,
} from '../training/training-world.js';
import { allRefused, readForged } from '../support/forge-cursor.js';

let world: TrainingWorld;
let tenant: string;
let snapshotId: string;

beforeAll(async () => {
  world = await createTrainingWorld();
});
beforeEach(async () => {
  tenant = world.newTenant();
  await registerModel(world, tenant);
  snapshotId = await world.publish(tenant, { csv: loans(60) });
});
afterAll(() => world.close());

const worker = (): Caller => ({
  tenant,
  actor: { subject: 'workflow:test', kind: 'system', roles: [], via: 'workflow' },
});

const digest = (n: number) => `sha256:${String(n).padStart(64, '0')}`;
const field = (name: string, more: object) => ({
  name,
  nullable: false,
  personal: 'none' as const,
  severity: 'reject' as const,
  onMissing: 'reject' as const,
  onUnknownCategory: 'reject' as const,
  ...more,
});

function made(runId: string, n: number): VersionPackage {
  const output = { label: 'good', probability: 0.75 };
  return {
    artifact: { ref: `${tenant}/sha256/x`, sha256: digest(n), sizeBytes: 10 },
    contract: {
      input: { fields: [{ ...field('income', {}), type: 'number' }] },
      output: { fields: [{ ...field('probability', { min: 0, max: 1 }), type: 'number' }] },
    },
    contractDigest: digest(7),
    golden: [1, 2, 3, 4, 5].map((income) => ({ inputs: { income }, output })),
    metrics: { holdout_auc: 0.8 },
    lineage: {
      runId,
      snapshotId,
      datasetContractId: 'con_1',
      target: 'outcome',
      classes: ['bad', 'good'],
      features: ['income'],
      protectedAttributes: ['sex'],
      split: { strategy: 'holdout', fractionsBp: [8000, 2000], salt: '' },
      trainer: { kind: 'gbt', params: { trees: 20 } },
      trainerVersion: 'gbt/1',
      seed: 0,
    },
  };
}

async function startRun(): Promise<string> {
  const answer = await world.send('POST', '/v1/models/credit/training-runs', {
    tenant,
    body: { snapshotId, trainer: { kind: 'gbt' }, budget },
  });
  return answer.body.id as string;
}

async function register(n = 1): Promise<string> {
  const runId = await startRun();
  await world.runs.registerVersion(worker(), { runId, made: made(runId, n) });
  return runId;
}

const put = (body: object) => world.send('PUT', '/v1/models/credit', { tenant, body });
const model = { purpose: 'lending', outcome: { type: 'binary' }, owner: 'risk' };
const version = (path = '1') => `/v1/models/credit/versions/${path}`;

test('a model can be changed, its risk class raised and never lowered by itself', async () => {
  expect(await put({ ...model, owner: 'credit-risk', riskClass: 'high' })).toMatchObject({
    status: 200,
    body: { owner: 'credit-risk', riskClass: 'high', policyId: 'default', versions: 0 },
  });
  expect(await put({ ...model, riskClass: 'low' })).toMatchObject({
    status: 409,
    body: { code: 'ILLEGAL_TRANSITION', from: 'high', to: 'low', allowed: ['high'] },
  });
  expect(await put({ ...model, riskClass: 'high', policyId: 'unheard-of' })).toMatchObject({
    status: 422,
    body: { code: 'POLICY_UNKNOWN' },
  });
  const { body } = await world.send('GET', '/v1/models/credit', { tenant });
  expect(body).toMatchObject({ name: 'credit', riskClass: 'high', owner: 'credit-risk' });
});

test('purpose and outcome are fixed once a version is registered', async () => {
  expect(await put({ ...model, purpose: 'marketing' })).toMatchObject({ status: 200 });
  await put(model);
  await register();
  expect(await put({ ...model, purpose: 'marketing' })).toMatchObject({
    status: 409,
    body: { code: 'ALREADY_EXISTS' },
  });
  expect(await put({ ...model, owner: 'others' })).toMatchObject({ status: 200 });
});

test('fifty registrations at once get the numbers 1 to 50, and each run exactly one', async () => {
  const runs = await Promise.all(Array.from({ length: 50 }, startRun));
  const twice = [...runs, ...runs];
  const outcomes = await Promise.all(
    twice.map((runId, n) => world.runs.registerVersion(worker(), { runId, made: made(runId, n) })),
  );
  const numbers = outcomes.map((outcome) => (outcome.kind === 'REGISTERED' ? outcome.version : 0));
  const first = numbers.slice(0, 50);
  expect([...first].sort((a, b) => a - b)).toEqual(Array.from({ length: 50 }, (_, i) => i + 1));
  expect(numbers.slice(50)).toEqual(first);
  const { body } = await world.send('GET', '/v1/models/credit', { tenant });
  expect(body.versions).toBe(50);
}, 60_000);

test('versions are read with contract, golden rows and lineage, and listed newest first', async () => {
  await register(1);
  await register(2);
  const { body } = await world.send('GET', version('2'), { tenant });
  expect(body).toMatchObject({
    model: 'credit',
    version: 2,
    assurance: 'REGISTERED',
    artifactDigest: digest(2),
    metrics: { holdout_auc: 0.8 },
    deployments: [],
    lineage: { snapshotId, classes: ['bad', 'good'], protectedAttributes: ['sex'] },
    trainedBy: `prn_${tenant}`,
  });
  expect(body.golden).toHaveLength(5);
  const list = await world.send('GET', '/v1/models/credit/versions?limit=1', { tenant });
  expect(list.body.items).toMatchObject([{ version: 2 }]);
  const cursor = list.body.nextCursor as string;
  const rest = await world.send('GET', `/v1/models/credit/versions?limit=1&cursor=${cursor}`, {
    tenant,
  });
  expect(rest.body.items).toMatchObject([{ version: 1 }]);
  expect(rest.body.nextCursor).toBeUndefined();
  const read = (from?: string) => {
    const path = `/v1/models/credit/versions?limit=1${from ? `&cursor=${from}` : ''}`;
    return world.send('GET', path, { tenant });
  };
  expect(await readForged(read, ['2147483648'])).toEqual(allRefused(['2147483648']));
  const stranger = world.newTenant();
  expect((await world.send('GET', version('2'), { tenant: stranger })).status).toBe(404);
  expect((await world.send('GET', '/v1/models/credit', { tenant: stranger })).status).toBe(404);
});

test('only annotations of a version change, and every earlier value is in the audit', async () => {
  await register();
  const patch = (body: object) => world.send('PATCH', version(), { tenant, body });
  expect(await patch({ annotations: { ticket: 'RISK-1', stage: 'trial' } })).toMatchObject({
    status: 200,
    body: { annotations: { ticket: 'RISK-1', stage: 'trial' } },
  });
  expect(await patch({ annotations: { ticket: 'RISK-2', stage: null } })).toMatchObject({
    body: { annotations: { ticket: 'RISK-2' } },
  });
  expect(await patch({ annotations: {}, metrics: {}, contract: {} })).toMatchObject({
    status: 409,
    body: {
      code: 'VERSION_IMMUTABLE',
      errors: [{ pointer: '/metrics' }, { pointer: '/contract' }],
    },
  });
  const entries = await world.database.asSuperuser(
    `select entry::jsonb -> 'before' -> 'annotations' as before from audit_entry
     where tenant_id = $1 and entry::jsonb ->> 'action' = 'registry.annotated' order by seq`,
    [tenant],
  );
  expect(entries.map(({ before }) => before)).toEqual([{}, { ticket: 'RISK-1', stage: 'trial' }]);
});

test('a version is quarantined or retired with a reason, and never while it is ACTIVE', async () => {
  await register();
  const withdraw = (step: string, reason = 'labels were wrong') =>
    world.send('POST', `${version()}:${step}`, { tenant, roles: ['operator'], body: { reason } });
  await world.database.asSuperuser(
    `insert into deployment (tenant_id, env, model, version, state) values ($1, 'prod', 'credit', 1, 'ACTIVE')`,
    [tenant],
  );
  for (const step of ['quarantine', 'retire'])
    expect(await withdraw(step)).toMatchObject({
      status: 409,
      body: { code: 'ILLEGAL_TRANSITION', from: 'ACTIVE', activeIn: ['prod'] },
    });
  await world.database.asSuperuser(
    `update deployment set state = 'PREVIOUS' where tenant_id = $1`,
    [tenant],
  );
  expect((await withdraw('quarantine', 'no')).status).toBe(400);
  expect(await withdraw('quarantine')).toMatchObject({
    status: 200,
    body: { assurance: 'QUARANTINED', deployments: [{ env: 'prod', state: 'PREVIOUS' }] },
  });
  expect(await withdraw('quarantine')).toMatchObject({
    status: 409,
    body: { from: 'QUARANTINED', allowed: ['EVALUATED', 'RETIRED', 'ERASED'] },
  });
  expect(await withdraw('retire')).toMatchObject({ status: 200, body: { assurance: 'RETIRED' } });
  const engineer = await world.send('POST', `${version()}:retire`, {
    tenant,
    body: { reason: 'not my decision' },
  });
  expect(engineer).toMatchObject({ status: 403, body: { permission: 'release:operate' } });
});

test('a cancelled run and a withdrawn snapshot give no version and take no number', async () => {
  const cancelled = await startRun();
  await world.send('POST', `/v1/training-runs/${cancelled}:cancel`, { tenant, body: {} });
  const runId = await startRun();
  await world.database.asSuperuser(
    `update snapshot set state = 'STALE_CONSENT' where tenant_id = $1`,
    [tenant],
  );
  const registration = { runId: cancelled, made: made(cancelled, 1) };
  expect(await world.runs.registerVersion(worker(), registration)).toEqual({ kind: 'CANCELLED' });
  expect(await world.runs.registerVersion(worker(), { runId, made: made(runId, 1) })).toMatchObject(
    {
      kind: 'REFUSED',
      failure: { code: 'SNAPSHOT_NOT_LIVE' },
    },
  );
  const { body } = await world.send('GET', '/v1/models/credit', { tenant });
  expect(body.versions).toBe(0);
});

test('lineage is followed in both directions as deep as asked, within the tenant', async () => {
  const runId = await register();
  const lineage = async (query: string, as = tenant) =>
    (await world.send('GET', `/v1/lineage?${query}`, { tenant: as })).body.edges as {
      from: string;
      relation: string;
      to: string;
    }[];
  const produced = { from: 'version/credit/1', relation: 'produced_by', to: `run/${runId}` };
  const trained = { from: `run/${runId}`, relation: 'trained_on', to: `snapshot/${snapshotId}` };
  expect(await lineage('node=version/credit/1')).toMatchObject([produced, trained]);
  expect(await lineage('node=version/credit/1&depth=1')).toMatchObject([produced]);
  expect(await lineage(`node=snapshot/${snapshotId}&direction=downstream`)).toMatchObject([
    trained,
    produced,
  ]);
  expect(await lineage(`node=run/${runId}&direction=both&depth=1`)).toHaveLength(2);
  expect(await lineage('node=version/credit/1', world.newTenant())).toEqual([]);
  const bad = await world.send('GET', '/v1/lineage?node=everything&depth=11', { tenant });
  expect(bad).toMatchObject({ status: 400, body: { code: 'INVALID_REQUEST' } });
});

test('the stores of the API register no version', () => {
  expect(Object.keys(createRegistryStore(world.database.api))).not.toContain('registerVersion');
});
