import { createEtlRetention } from '../../src/adapters/postgres/etl-retention.js';
import { createRetentionLoop } from '../../src/activities/etl/retention-loop.js';
import { retentionKinds, type RetentionLedger } from '../../src/domain/etl/retention.js';
import { eventually } from '../support/eventually.js';
import { building, live, LedgerWorld, only, push, sourceId } from './ledger-world.js';

let world: LedgerWorld;
let retention: RetentionLedger;
let tenants = 0;

beforeAll(async () => {
  world = await LedgerWorld.create();
  retention = createEtlRetention(world.database.worker);
});
afterAll(() => world.close());

const sql = (text: string, ...values: unknown[]) => world.database.asSuperuser(text, values);
const countOf = async (tenant: string, table: string, where = 'true'): Promise<number> => {
  const [row] = await sql(
    `select count(*)::int as n from ${table} where tenant_id = $1 and ${where}`,
    tenant,
  );
  return Number(row?.n);
};

/** A tenant whose one document has these texts, one revision each. */
async function tenantWith(...texts: string[]): Promise<string> {
  const tenant = `keep-${++tenants}`;
  await world.seed(tenant);
  for (const [at, text] of texts.entries()) {
    await world.record(tenant, push('a', at + 1, text));
    await world.drain(tenant);
  }
  return tenant;
}

/** Makes all that is there this much older, ids included: they are in order of time. */
async function age(tenant: string, days: number): Promise<void> {
  const by = `interval '${days} days'`;
  const old = (column: string) => `left(${column}, 4) || '0000000000' || right(${column}, 16)`;
  await sql(
    `update etl_intent set done_at = done_at - ${by}, intent_id = ${old('intent_id')} where tenant_id = $1`,
    tenant,
  );
  await sql(
    `update etl_change_event set applied_at = applied_at - ${by}, received_at = received_at - ${by},
       change_id = ${old('change_id')} where tenant_id = $1`,
    tenant,
  );
  await sql(
    `update etl_revision set superseded_at = superseded_at - ${by} where tenant_id = $1`,
    tenant,
  );
}

async function purge(tenant: string): Promise<Record<string, number>> {
  const removed: Record<string, number> = {};
  for (const kind of retentionKinds) {
    let after: string | undefined = '';
    while (after !== undefined) {
      const page = await retention.purgePage(tenant, { kind, after });
      removed[kind] = (removed[kind] ?? 0) + page.removed;
      after = page.next;
    }
  }
  return removed;
}

const nothing = { intents: 0, texts: 0, changes: 0, scans: 0, answers: 0 };

test('intents go 7 days after they are done, superseded text and changes after 30; before, and twice, nothing goes', async () => {
  const t = await tenantWith('one', 'two', 'three');
  await sql(`update etl_revision set raw_ref = text_hash where tenant_id = $1`, t);
  await sql(
    `update etl_change_event e set content_ref = r.raw_ref from etl_revision r
     where e.tenant_id = $1 and r.tenant_id = $1 and e.seq = r.rev`,
    t,
  );
  expect(await purge(t)).toEqual(nothing);
  await age(t, 6.9);
  expect(await purge(t)).toEqual(nothing);
  await age(t, 0.2);
  expect(await purge(t)).toEqual({ ...nothing, intents: 3 });
  await age(t, 22.8);
  expect(await purge(t)).toEqual(nothing);
  await age(t, 0.2);
  expect(await purge(t)).toEqual({ ...nothing, texts: 2, changes: 2 });
  expect(await purge(t)).toEqual(nothing);
  expect(await countOf(t, 'etl_change_event', `source_version = 'v3'`)).toBe(1);
  const evidence = await sql(
    `select entry::jsonb->'after' as after from audit_entry where tenant_id = $1 and entry::jsonb->>'action' = 'etl.retention-applied' order by seq`,
    t,
  );
  expect(evidence).toMatchObject([
    { after: { kind: 'intents', removed: 3 } },
    { after: { kind: 'texts', removed: 2 } },
    { after: { kind: 'changes', removed: 2 } },
  ]);
});

test('a citation of what expired is answered as expired, one of the live revision as before', async () => {
  const t = await tenantWith('one', 'two');
  const { docId } = only(await world.read(t));
  const told = async (rev: number) => {
    const spans = [{ docId, rev, start: 0, end: 3 }];
    const reader = { principals: ['group:staff'], purpose: 'support' };
    return only(await world.reads.readSpans(t, { spans, ...reader }));
  };
  expect(await told(1)).toMatchObject({ text: 'one', current: false });
  await age(t, 31);
  await purge(t);
  expect(await told(1)).toEqual({ refused: 'REVISION_EXPIRED' });
  expect(await told(2)).toMatchObject({ text: 'two', current: true });
  expect(await countOf(t, 'etl_revision', 'text_enc is null and blocks_enc is null')).toBe(1);
  expect(await countOf(t, 'etl_chunk_list', 'paths_enc is null')).toBe(1);
  expect(await world.texts(t)).toEqual(['two']);
  // The document goes on as if nothing had been removed: what is kept is kept, what is new is written.
  await world.record(t, push('a', 3, 'two\n\nthree'));
  await world.drain(t);
  expect(await world.texts(t)).toEqual(['two|three']);
});

test('an open write, and a generation that stands at an old revision, keep its text', async () => {
  const t = await tenantWith('one');
  await world.addGeneration(t, building, 'BUILDING');
  await world.ledger.claimLagging({
    tenant: t,
    generationId: building,
    batchId: 'bat_fill',
    maxDocuments: 9,
  });
  const writes = await world.ledger.openWrites(t, 'bat_fill');
  world.apply(t, writes);
  await world.commit(t, { batchId: 'bat_fill' }, writes);
  const next = async (seq: number, text: string) => {
    await world.record(t, push('a', seq, text));
    const { batchId, documents } = await world.claim(t);
    const all = await world.intend(t, batchId, documents);
    const mine = all.filter(({ generationId }) => generationId === live);
    world.apply(t, mine);
    await world.commit(t, { batchId, generationIds: [live] }, mine);
  };
  await next(2, 'two');
  await next(3, 'three');
  await age(t, 31);
  // Revision 1 is in the manifest of the one that is built; 2 is what its newest open write but one wants.
  expect(await purge(t)).toMatchObject({ intents: 4, texts: 0 });
  expect(await countOf(t, 'etl_intent', `state = 'OPEN'`)).toBe(2);
  await sql(
    `update etl_intent set state = 'DONE', done_at = now() where tenant_id = $1 and rev = 2 and state = 'OPEN'`,
    t,
  );
  expect(await purge(t)).toMatchObject({ intents: 0, texts: 1 });
  expect(await countOf(t, 'etl_revision', 'rev <> 2 and text_enc is not null')).toBe(2);
});

test('the newest change of a document stays, and with it its order; so do bytes that nothing else names', async () => {
  const t = await tenantWith('one', 'two');
  await world.record(t, {
    ...push('a', 5, 'x'),
    kind: 'acl',
    content: { name: 'a', acl: ['group:staff'] },
  });
  await world.drain(t);
  await age(t, 31);
  expect(await purge(t)).toMatchObject({ changes: 0 });
  await sql(`update etl_change_event set content_ref = null where tenant_id = $1 and seq = 1`, t);
  expect(await purge(t)).toMatchObject({ changes: 1 });
  await world.record(t, push('a', 1, 'one'));
  await world.drain(t);
  expect(await world.texts(t)).toEqual(['two']);
  expect(await countOf(t, 'etl_change_event', `seq = 1 and state = 'SUPERSEDED'`)).toBe(1);
});

test('scans go 30 days after their end, never the newest of a source nor one that waits', async () => {
  const t = await tenantWith('one');
  const scan = (id: string, state: string, daysAgo: number | null) =>
    sql(
      `insert into etl_scan (tenant_id, scan_id, source_id, state, requested_by, ended_at)
       values ($1, $2, $3, $4, 'prn_x', now() - make_interval(days => $5))`,
      ...[t, `scn_0000000000000000000000000${id}`, sourceId, state, daysAgo],
    );
  await scan('1', 'APPLIED', 40);
  await scan('2', 'WAITING', null);
  await scan('3', 'FAILED', 31);
  await scan('4', 'APPLIED', 29);
  expect(await purge(t)).toEqual({ ...nothing, scans: 2 });
  await sql(
    `update etl_scan set ended_at = now() - interval '90 days' where tenant_id = $1 and state <> 'WAITING'`,
    t,
  );
  expect(await purge(t)).toEqual(nothing);
  expect(await countOf(t, 'etl_scan')).toBe(2);
});

/** The answer to a request of `route`, given this long ago. */
const answer = (tenant: string, route: string, of: { daysAgo: number; workflowId?: string }) =>
  sql(
    `insert into idempotency (tenant_id, principal_id, route, key_hash, body_hash, status, response, created_at)
     values ($1, 'prn_x', $2::text, sha256(convert_to($2::text, 'UTF8')), '', 202, $3, now() - make_interval(secs => $4::float8 * 86400))`,
    ...[tenant, route, { id: 'x', workflowId: of.workflowId }, of.daysAgo],
  );
const answersOf = async (tenant: string): Promise<unknown[]> =>
  (await sql(`select route from idempotency where tenant_id = $1 order by route`, tenant)).map(
    ({ route }) => route,
  );

test('an answer under its key goes after 30 days, in each tenant on its own, and not while its operation runs', async () => {
  const [t, other] = [await tenantWith('one'), await tenantWith('one')];
  const scanId = 'scn_00000000000000000000000009';
  await sql(
    `insert into etl_scan (tenant_id, scan_id, source_id, state, requested_by) values ($1, $2, $3, 'WAITING', 'prn_x')`,
    ...[t, scanId, sourceId],
  );
  for (const tenant of [t, other]) {
    await answer(tenant, 'old', { daysAgo: 30.01 });
    await answer(tenant, 'older', { daysAgo: 400, workflowId: `training/${tenant}/run_1` });
    await answer(tenant, 'running', { daysAgo: 90, workflowId: `etl/${t}/${scanId}` });
    await answer(tenant, 'young', { daysAgo: 29.99 });
  }
  expect(await purge(t)).toEqual({ ...nothing, answers: 2 });
  expect(await answersOf(t)).toEqual(['running', 'young']);
  expect(await answersOf(other)).toEqual(['old', 'older', 'running', 'young']);
  // A scan of one tenant holds no answer of another.
  expect(await purge(other)).toEqual({ ...nothing, answers: 3 });
  expect(await answersOf(other)).toEqual(['young']);
  await sql(`update etl_scan set ended_at = now() where tenant_id = $1`, t);
  expect(await purge(t)).toEqual({ ...nothing, answers: 1 });
  expect(await answersOf(t)).toEqual(['young']);
  // Whatever a worker asks for, what is promised stays; and it never gets to see an answer.
  const asked = (text: string) => world.database.worker.batch(t, (query) => query(text));
  const forget = `select removed from idempotency_forget('-infinity', now(), 100, '{}')`;
  expect(await asked(forget)).toEqual([{ removed: 0 }]);
  await expect(asked('select response from idempotency')).rejects.toThrow(/permission denied/);
  await expect(asked('delete from idempotency')).rejects.toThrow(/permission denied/);
});

test('answers go page by page, past those whose operations run', async () => {
  const t = await tenantWith('one');
  const scanId = 'scn_00000000000000000000000008';
  await sql(
    `insert into etl_scan (tenant_id, scan_id, source_id, state, requested_by) values ($1, $2, $3, 'WAITING', 'prn_x')`,
    ...[t, scanId, sourceId],
  );
  await sql(
    `insert into idempotency (tenant_id, principal_id, route, key_hash, body_hash, status, response, created_at)
     select $1, 'prn_x', 'r', sha256(n::text::bytea), '', 202,
       case when n <= 2100 then jsonb_build_object('workflowId', 'etl/' || $1 || '/' || $2) else '{}' end,
       now() - interval '40 days' + make_interval(secs => n) from generate_series(1, 4500) n`,
    ...[t, scanId],
  );
  const first = await retention.purgePage(t, { kind: 'answers', after: '' });
  expect(first.removed).toBe(0);
  expect(first.next).toBeDefined();
  expect(await purge(t)).toEqual({ ...nothing, answers: 2_400 });
  expect(await countOf(t, 'idempotency')).toBe(2_100);
});

test('pages bound a transaction, however much there is; another tenant is not touched', async () => {
  const [t, other] = [await tenantWith('one'), await tenantWith('one')];
  await sql(
    `insert into etl_intent (tenant_id, intent_id, generation_id, doc_id, rev, fence, batch_id, row_ids, add_row_ids,
       delete_row_ids, state, done_at)
     select t, 'wri_0000000000' || lpad(n::text, 16, '0'), $3, gen_random_uuid(), 1, 1, 'bat_1', '{}', '{}', '{}',
       'DONE', now() - interval '8 days' from unnest(array[$1, $2]) t, generate_series(1, 4500) n`,
    ...[t, other, live],
  );
  const first = await retention.purgePage(t, { kind: 'intents', after: '' });
  expect(first.removed).toBe(2_000);
  expect(first.next).toBeDefined();
  expect(await purge(t)).toEqual({ ...nothing, intents: 2_500 });
  expect(await countOf(other, 'etl_intent')).toBe(4_501);
});

test('the loop goes through all tenants, again and again, and says when it cannot', async () => {
  const t = await tenantWith('one', 'two');
  await age(t, 31);
  const stop = new AbortController();
  let failing = false;
  const warned: string[] = [];
  const loop = createRetentionLoop({
    tenants: async () => (failing ? Promise.reject(new Error('down')) : [t]),
    purgePage: retention.purgePage,
    log: { info: () => undefined, warn: (_facts, message) => void warned.push(message) },
    intervalMs: 20,
  });
  const ended = loop.run(stop.signal);
  try {
    await eventually(async () => expect(await countOf(t, 'etl_intent')).toBe(0));
    await eventually(() => expect(loop.healthy()).toBe(true));
    failing = true;
    await eventually(() => expect(warned.length).toBeGreaterThan(0));
    await eventually(() => expect(loop.healthy()).toBe(false));
  } finally {
    stop.abort();
    await ended;
  }
});
