import { randomBytes, randomUUID } from 'node:crypto';
import { parseModelContract } from '../../src/domain/datasets/model-contract.js';
import { modelContractDigest } from '../../src/domain/registry/contract-digest.js';
import { startTestApi, type TestApi } from '../support/api.js';
import { eventually } from '../support/eventually.js';

// Nobody polls the queue of inferences here: whatever is started waits in it.

const tenant = 'waiting';
let api: TestApi;
beforeAll(async () => {
  api = await startTestApi();
  await api.createTenant(tenant);
  await serveModel();
});
afterAll(() => api.stop());

/** A model with an active version whose artifact nobody will ever load. */
async function serveModel(): Promise<void> {
  const { asSuperuser: sql } = api.database;
  const parsed = parseModelContract({
    input: { fields: [{ name: 'size', type: 'number', min: 0, max: 10 }] },
    output: { fields: [{ name: 'probability', type: 'number', min: 0, max: 1 }] },
  });
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.errors));
  const { contract } = parsed;
  await sql(
    `insert into registered_model (tenant_id, name, purpose, risk_class, outcome, policy_name, owner, created_by)
     values ($1, 'tint', 'drill', 'low', '{"type":"binary"}', 'default', 'team', 'test')`,
    [tenant],
  );
  await sql(
    `insert into model_version (tenant_id, model, version, assurance, artifact_ref, artifact_digest, artifact_bytes,
       contract, contract_digest, golden, metrics, lineage, trained_by)
     values ($1, 'tint', 1, 'APPROVED', 'ref', $2, 1, $3, $4, '[]', '{}', '{}', 'test')`,
    [tenant, `sha256:${'1'.repeat(64)}`, JSON.stringify(contract), modelContractDigest(contract)],
  );
  await sql(
    `insert into routing (tenant_id, env, kind, name, epoch, active, previous, arms, salt, shadow, min_epoch)
     values ($1, 'prod', 'model', 'tint', 1, 1, null, '[]', $2, '[]', 1)`,
    [tenant, randomBytes(32)],
  );
}

/** Asks for an inference that is due within 100 ms unless `more` says otherwise. */
async function infer(key: string, idempotencyKey: string = randomUUID(), more: object = {}) {
  const response = await fetch(`${api.url}/v1/inferences`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${key}`,
      'idempotency-key': idempotencyKey,
      'content-type': 'application/json',
    },
    body: JSON.stringify({
      model: 'tint',
      inputs: { size: 3 },
      purpose: 'drill',
      deadlineMs: 100,
      ...more,
    }),
  });
  const body = (await response.json()) as Record<string, unknown>;
  return { status: response.status, headers: response.headers, body };
}

const inferences = async (): Promise<unknown> => {
  const [row] = await api.database.asSuperuser('select count(*)::int as n from inference');
  return row?.n;
};

test('a durable start that would miss its deadline is refused before anything is written; repeats of earlier ones are answered, and so is who has time', async () => {
  const { key } = await api.createCaller(tenant, ['service']);
  const repeated = randomUUID();
  const first = await infer(key, repeated);
  expect(first.status).toBe(202);
  await eventually(
    async () => {
      const refused = await infer(key);
      expect(refused).toMatchObject({
        status: 503,
        body: { code: 'OVERLOADED', limit: 'backlog' },
      });
      expect(Number(refused.headers.get('retry-after'))).toBeGreaterThanOrEqual(2);
    },
    { timeoutMs: 20_000, everyMs: 500 },
  );
  const before = await inferences();
  expect((await infer(key)).status).toBe(503);
  // The run that is under way is joined.
  const joined = await infer(key, repeated);
  expect(joined).toMatchObject({ status: 202, body: { id: first.body.id } });
  expect(joined.headers.get('idempotent-replayed')).toBe('true');
  const other = await infer(key, repeated, { inputs: { size: 4 } });
  expect(other).toMatchObject({ status: 422, body: { code: 'IDEMPOTENCY_MISMATCH' } });
  // One that has ended is answered with how it did.
  await api.database.asSuperuser(
    `update inference set state = 'EXPIRED', code = 'DEADLINE_EXCEEDED', settled_at = now() where inference_id = $1`,
    [first.body.id],
  );
  const answered = await infer(key, repeated);
  expect(answered).toMatchObject({
    status: 504,
    body: { code: 'DEADLINE_EXCEEDED', decisionId: first.body.id },
  });
  expect(await inferences()).toBe(before);
  expect((await infer(key, randomUUID(), { deadlineMs: 3_600_000 })).status).toBe(202);
});
