import { createPlatformHealth } from '../../src/adapters/postgres/platform-health.js';
import { createReconcileStore } from '../../src/adapters/postgres/reconcile.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';

const tenant = 'busy';
const NEWER = 10_001;
let database: TestDatabase;

/** Inferences of the tenant, all of one minute: settled with their decision or not at all. */
const insert = (of: { from: number; to: number; minutesAgo: number; settled: boolean }) =>
  database.asSuperuser(
    `insert into inference (tenant_id, inference_id, principal_id, env, model, version, arm, routing_epoch, state, purpose,
       plan, warnings, inputs_digest, inputs, request_id, workflow_id, created_at, deadline_at, settled_at)
     select $1, 'inf_' || lpad(n::text, 8, '0'), 'p', 'prod', 'm', 1, 'champion', 1,
       case when $5 then 'SUCCEEDED' else 'RUNNING' end, 'p', '{}', '[]', '', '', '', 'infer/' || $1 || '/' || n,
       least(now(), now() - make_interval(mins => $4)) - interval '1 minute', now() - make_interval(mins => $4),
       case when $5 then now() - make_interval(mins => $4) end
     from generate_series($2::int, $3::int) n`,
    [tenant, of.from, of.to, of.minutesAgo, of.settled],
  );
const health = () => createPlatformHealth(database.worker).readPlatformHealth(tenant);

beforeAll(async () => {
  database = await createTestDatabase();
  await database.asSuperuser('insert into tenant (tenant_id, title) values ($1, $1)', [tenant]);
  await insert({ from: 1, to: 1, minutesAgo: 60, settled: false });
  await insert({ from: 2, to: NEWER, minutesAgo: 5, settled: true });
  await insert({ from: NEWER + 1, to: NEWER + 2, minutesAgo: -5, settled: false });
  await database.asSuperuser(
    `insert into intent (tenant_id, workflow_id, workflow_type, task_queue, input, input_digest, options, created_at, due_at,
       delivered_at)
     select tenant_id, workflow_id, 'infer', 'inference', jsonb_build_object('tenant', tenant_id, 'inferenceId', inference_id),
       '', '{}', created_at, created_at, created_at from inference where settled_at is null`,
  );
  await database.asSuperuser('analyze inference');
}, 60_000);
afterAll(() => database.close());

it('the segment of WAL that is written is known to the role of the workers', async () => {
  const { readCurrentWal } = createPlatformHealth(database.worker);
  expect(await readCurrentWal()).toMatch(/^[0-9A-F]{24}$/);
});

describe('an inference that nothing settles, behind ten thousand newer ones that are settled', () => {
  it('is counted as late, with its age past its deadline; what is not due is not', async () => {
    const { unknownEffects, unknownOldestSeconds } = await health();
    expect(unknownEffects).toBe(1);
    expect(unknownOldestSeconds).toBeGreaterThanOrEqual(3_600);
    expect(unknownOldestSeconds).toBeLessThan(3_700);
  });

  it('is looked at by the reconciler, before those that are due later', async () => {
    const { openWork } = createReconcileStore(database.worker);
    const seen = async (inferences: number) =>
      (await openWork(tenant, { graceMs: 10_000, inferences })).map((one) => one.start.workflowId);
    expect(await seen(1)).toEqual([`infer/${tenant}/1`]);
    expect(await seen(NEWER - 1)).toHaveLength(3);
  });

  it('is found by an index that holds open inferences alone', async () => {
    const plan = await database.asSuperuser(
      `explain select deadline_at from inference where tenant_id = '${tenant}' and settled_at is null
       order by deadline_at limit 10000`,
    );
    const text = plan.map((row) => String(row['QUERY PLAN'])).join('\n');
    expect(text).toContain('inference_open_idx');
    expect(text).not.toContain('Sort');
  });
});
