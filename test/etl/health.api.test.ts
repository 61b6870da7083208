import { createEtlHealth } from '../../src/adapters/postgres/etl-health.js';
import { callerOf, live, LedgerWorld, sourceId, upsert } from './ledger-world.js';
import { seedFolder } from './seed-folder.js';

let world: LedgerWorld;
const newTenant = (): Promise<string> => seedFolder(world);
const ask = (sql: string, ...values: unknown[]) => world.database.asSuperuser(sql, values);

beforeAll(async () => {
  world = await LedgerWorld.create();
}, 60_000);
afterAll(() => world.database.close());

describe('health', () => {
  const healthOf = (tenant: string) => createEtlHealth(world.database.worker).readHealth(tenant);

  it('says what waits, how old it is, and how long a scan is overdue', async () => {
    const tenant = await newTenant();
    await world.ledger.recordChanges(callerOf(tenant), sourceId, [
      upsert('a', 'v1'),
      upsert('a', 'v2'),
      upsert('b', 'v1'),
    ]);
    await ask(
      `update etl_change_event set received_at = now() - interval '400 seconds' where tenant_id = $1 and source_version = 'v2'`,
      tenant,
    );
    await ask(
      `update etl_source set last_complete_scan_at = now() - interval '150 seconds' where tenant_id = $1`,
      tenant,
    );
    const [source] = (await healthOf(tenant)).sources;
    expect(source).toMatchObject({ sourceKind: 'folder', backlog: 2 });
    expect(source?.oldestUnappliedSeconds).toBeGreaterThanOrEqual(400);
    expect(source?.scanAgeSeconds).toBeGreaterThanOrEqual(150);
    expect(source?.scanAgeRatio).toBeGreaterThanOrEqual(2.5);
    await ask(`update etl_source set state = 'PAUSED' where tenant_id = $1`, tenant);
    expect((await healthOf(tenant)).sources[0]?.scanAgeRatio).toBeUndefined();
  });

  it('says how old a write in doubt is, and what the newest reconcile found', async () => {
    const tenant = await newTenant();
    await ask(
      `insert into etl_intent (tenant_id, intent_id, generation_id, doc_id, rev, fence, batch_id, row_ids, add_row_ids,
         delete_row_ids, state, created_at)
       values ($1, 'wri_1', $2, gen_random_uuid(), 1, 1, 'bat_1', '{}', '{}', '{}', 'OPEN', now() - interval '2 hours')`,
      ...[tenant, live],
    );
    const reconciled = (id: string, orphans: number, missing: number) =>
      ask(
        `insert into etl_reconcile (tenant_id, reconcile_id, generation_id, state, orphan_rows, missing_rows, requested_by)
         values ($1, $2, $3, 'DONE', $4, $5, 'prn_x')`,
        ...[tenant, id, live, orphans, missing],
      );
    await reconciled('rec_1', 7, 8);
    await reconciled('rec_2', 3, 1);
    const health = await healthOf(tenant);
    expect(health).toMatchObject({
      openIntents: 1,
      sinks: [{ sink: 'lancedb', orphanRows: 3, missingRows: 1 }],
    });
    expect(health.openIntentSeconds).toBeGreaterThanOrEqual(7_200);
    await reconciled('rec_3', 0, 0);
    expect((await healthOf(tenant)).sinks).toMatchObject([{ orphanRows: 0, missingRows: 0 }]);
  });

  it('a change that is applied says how long it took', async () => {
    const tenant = await newTenant();
    await world.ledger.recordChanges(callerOf(tenant), sourceId, [
      upsert('a', 'v1', { changedAtMs: Date.now() - 90_000 }),
    ]);
    const claim = { tenant, sourceId, batchId: 'bat_lag', maxDocuments: 10, maxBytes: 1_000_000 };
    const [claimed] = await world.ledger.claimBatch(claim);
    if (claimed === undefined) throw new Error('nothing was claimed');
    await ask(
      `update etl_change_event set received_at = now() - interval '30 seconds' where tenant_id = $1`,
      tenant,
    );
    const { docId, fence } = claimed;
    const settled = await world.ledger.settleAccess(tenant, 'bat_lag', [
      { docId, fence, acl: ['public'], aclHash: 'x' },
    ]);
    expect(settled).toMatchObject([
      { docId, change: { sourceKind: 'folder', changeKind: 'upsert' } },
    ]);
    expect(settled[0]?.change?.lagSeconds).toBeGreaterThanOrEqual(30);
    expect(settled[0]?.change?.changedLagSeconds).toBeGreaterThanOrEqual(90);
  });

  it('a generation has rows once something was committed to it, for the API too', async () => {
    const tenant = await newTenant();
    expect(await world.reads.hasRows(tenant, live)).toBe(false);
    await ask(
      `insert into etl_manifest (tenant_id, generation_id, doc_id, rev, row_ids, acl_hash)
       values ($1, $2, gen_random_uuid(), 1, '{}', 'a')`,
      ...[tenant, live],
    );
    expect(await world.reads.hasRows(tenant, live)).toBe(true);
    expect(await world.reads.hasRows('another', live)).toBe(false);
  });
});
