import { createEtlReconcileLedger } from '../../src/adapters/postgres/etl-reconcile-ledger.js';
import { createSourcePauses } from '../../src/adapters/postgres/etl-sources.js';
import { aclHash } from '../../src/domain/etl/fingerprints.js';
import type { MissingRow, ReconcileLedger } from '../../src/domain/etl/scan.js';
import { building, callerOf, LedgerWorld, live, sourceId, upsert } from './ledger-world.js';

const reconcileId = 'rec_01KAJ4Y4G0000000000000000A';
const hashOf = (...acl: string[]): string => aclHash({ acl, deniedPurposes: [] });
const staff = hashOf('group:staff');

let world: LedgerWorld;
let reconciles: ReconcileLedger;
let tenants = 0;
beforeAll(async () => {
  world = await LedgerWorld.create();
  reconciles = createEtlReconcileLedger(world.parts);
});
afterAll(() => world.close());

/** Documents `a`, `b` and `c` of two chunks each, and a reconcile that is running. */
async function tenant(): Promise<string> {
  const t = `rec-${++tenants}`;
  await world.seed(t);
  const documents = ['a', 'b', 'c'].map((key) =>
    upsert(key, `v-${key}`, { contentRef: `first of ${key}\n\nsecond of ${key}` }),
  );
  await world.record(t, ...documents);
  await world.drain(t);
  await rowsOf(
    t,
    `insert into etl_reconcile (tenant_id, reconcile_id, generation_id, state, requested_by)
     values ($1, $2, $3, 'RUNNING', 'prn_x')`,
    ...[reconcileId, live],
  );
  return t;
}
const rowsOf = (t: string, sql: string, ...values: unknown[]) =>
  world.database.asSuperuser(sql, [t, ...values]);
const rowWith = (t: string, text: string): string => {
  const found = [...world.sink(t).rows].find(([, row]) => row.text.endsWith(text));
  if (found === undefined) throw new Error(`no row with ${text}`);
  return found[0];
};
const plant = '00000000-0000-8000-8000-00000000000a';

/** What the store answers, slice by slice: its rows by the first digit of their ids. */
async function* scanIds(
  t: string,
  slice: { index: number; of: number },
  more: { hashes?: Map<string, string>; meanwhile?: () => Promise<unknown> } = {},
) {
  const rows = [...world.sink(t).rows];
  await more.meanwhile?.();
  for (const [rowId, { docId }] of rows) {
    const digit = Number.parseInt(rowId.charAt(0), 16);
    if (Math.floor(digit / (16 / slice.of)) === slice.index)
      yield { rowId, docId, accessHash: more.hashes?.get(rowId) ?? staff };
  }
}

/** Compares all slices as one run does. */
async function compare(t: string, more: Parameters<typeof scanIds>[2] & { of?: 1 | 16 } = {}) {
  const { of = 16, ...scan } = more;
  const all = {
    ...{ rows: 0, orphans: [] as string[], stale: [] as string[] },
    missing: [] as MissingRow[],
  };
  for (let index = 0; index < of; index++) {
    const rows = scanIds(t, { index, of }, scan);
    const found = await reconciles.compareRows(t, live, { reconcileId, index, of, rows });
    all.rows += found.rows;
    all.orphans.push(...found.orphanRowIds);
    all.stale.push(...found.stale.map(({ rowId }) => rowId));
    all.missing.push(...found.missing);
    await reconciles.recordSlice(callerOf(t), reconcileId, {
      ...{ index, orphans: found.orphanRowIds.length, missing: found.missing.length },
      stale: found.stale.length,
    });
  }
  return all;
}
const clean = { orphans: [], missing: [], stale: [] };
const counts = async (t: string) => {
  const [row] = await rowsOf(
    t,
    `select orphan_rows as orphans, missing_rows as missing, stale_rows as stale, state, reason, cardinality(slices) as slices
     from etl_reconcile where tenant_id = $1`,
  );
  return row;
};

test('planted orphans, missing rows and stale access are found, each with what puts it right; then nothing is', async () => {
  const t = await tenant();
  expect(await compare(t)).toEqual({ rows: 6, ...clean });
  await rowsOf(t, `update etl_reconcile set slices = '{}' where tenant_id = $1`);
  const [gone, stale] = [rowWith(t, 'second of b'), rowWith(t, 'first of c')];
  const { docId } = world.sink(t).rows.get(gone) ?? { docId: '' };
  world.sink(t).rows.delete(gone);
  world.sink(t).rows.set(plant, { docId, text: 'planted' });
  const hashes = new Map([[stale, hashOf('public')]]);
  const found = await compare(t, { hashes });
  expect(found).toMatchObject({ rows: 6, orphans: [plant], stale: [stale] });
  expect(found.missing).toEqual([
    {
      ...{ rowId: gone, docId, page: 0, metadata: {}, acl: ['group:staff'], aclHash: staff },
      textHash: expect.stringMatching(/^sha256:/) as string,
      embedText: 'Title\nPath\nsecond of b',
    },
  ]);
  expect(await counts(t)).toMatchObject({ orphans: 1, missing: 1, stale: 1, slices: 16 });
  for (const { rowId, embedText } of found.missing)
    world.sink(t).rows.set(rowId, { docId, text: embedText });
  world.sink(t).rows.delete(plant);
  expect(await compare(t)).toEqual({ rows: 6, ...clean });
  expect(await world.texts(t)).toHaveLength(3);
});

test('the same slice counts once, and a run that has ended stays as it ended', async () => {
  const t = await tenant();
  const found = { index: 3, orphans: 2, missing: 1, stale: 4 };
  await reconciles.recordSlice(callerOf(t), reconcileId, found);
  await reconciles.recordSlice(callerOf(t), reconcileId, found);
  const settle = (end: Parameters<ReconcileLedger['settleReconcile']>[2]) =>
    reconciles.settleReconcile(callerOf(t), reconcileId, end);
  await settle({ state: 'FAILED', code: 'SINK_UNAVAILABLE' });
  await settle({ state: 'DONE' });
  await reconciles.recordSlice(callerOf(t), reconcileId, { ...found, index: 4 });
  expect(await counts(t)).toEqual({
    ...{ orphans: 2, missing: 1, stale: 4, slices: 1 },
    ...{ state: 'FAILED', reason: 'SINK_UNAVAILABLE' },
  });
  const events = await rowsOf(
    t,
    `select data->>'state' as state from outbox where tenant_id = $1 and type = 'anneal.etl.reconciled.v1'`,
  );
  expect(events).toEqual([{ state: 'FAILED' }]);
});

test('what is in doubt is no orphan and not missing, wherever a writer has stopped', async () => {
  const t = await tenant();
  await world.record(t, upsert('a', 'v2', { contentRef: 'other of a\n\nsecond of a' }));
  await world.record(t, { ...upsert('c', 'gone', { priority: 2 }), kind: 'delete' });
  const { batchId, documents } = await world.claim(t);
  const writes = await world.intend(t, batchId, documents);
  for (const write of writes) world.sink(t).add(write);
  expect(await compare(t)).toEqual({ rows: 7, ...clean });
  for (const write of writes) world.sink(t).remove(write);
  expect(await compare(t)).toEqual({ rows: 4, ...clean });
  await world.commit(t, { batchId }, writes);
  expect(await compare(t)).toEqual({ rows: 4, ...clean });
});

test('what is committed while the store is read is not taken for missing', async () => {
  const t = await tenant();
  await world.record(t, upsert('a', 'v2', { contentRef: 'other of a' }));
  // The store was read before these rows were there, the ledger is read after their commit.
  const found = await compare(t, { of: 1, meanwhile: () => world.drain(t) });
  expect(found).toMatchObject({ rows: 6, missing: [], stale: [] });
  expect(found.orphans.every((rowId) => world.sink(t).listedForDeletion.has(rowId))).toBe(true);
  expect(await compare(t)).toEqual({ rows: 5, ...clean });
});

test('[W1] rows are written again under a claim, and what changed meanwhile comes after', async () => {
  const t = await tenant();
  const gone = rowWith(t, 'first of a');
  world.sink(t).rows.delete(gone);
  const of = { index: 0, of: 1 as const };
  const find = () => reconciles.compareRows(t, live, { reconcileId, ...of, rows: scanIds(t, of) });
  expect((await find()).missing).toHaveLength(1);
  // A repeat of the same slice finds it again; nobody else may write the document meanwhile.
  expect((await find()).missing).toHaveLength(1);
  await world.ledger.backlog(t, sourceId);
  await world.record(t, upsert('a', 'v2', { contentRef: 'other of a' }));
  expect((await world.claim(t)).documents).toEqual([]);
  await world.ledger.backlog(t, sourceId);
  await rowsOf(t, `delete from wake where tenant_id = $1`);
  await reconciles.recordSlice(callerOf(t), reconcileId, {
    ...{ index: 0, orphans: 0, missing: 1, stale: 0 },
  });
  expect(await rowsOf(t, `select 1 from wake where tenant_id = $1`)).toHaveLength(1);
  const { batchId, documents } = await world.claim(t);
  expect(documents).toHaveLength(1);
  expect((await find()).missing).toEqual([]);
  const writes = await world.intend(t, batchId, documents);
  world.apply(t, writes);
  await world.commit(t, { batchId }, writes);
  expect(await compare(t)).toEqual({ rows: 5, ...clean });
});

test('what is deleted, hidden for its access, or without a row by nature is not written again', async () => {
  const t = await tenant();
  world.sink(t).rows.clear();
  const keys = await rowsOf(
    t,
    `select doc_id::text as id from etl_document where tenant_id = $1 order by doc_id`,
  );
  const [first, second] = keys.map(({ id }) => String(id));
  await rowsOf(
    t,
    `update etl_document set deleted_at = now() where tenant_id = $1 and doc_id = $2`,
    first,
  );
  await rowsOf(
    t,
    `update etl_document set hidden_reason = 'erasure' where tenant_id = $1 and doc_id = $2`,
    second,
  );
  await rowsOf(t, `update etl_manifest set unindexed_row_ids = row_ids[1:1] where tenant_id = $1`);
  expect((await compare(t)).missing).toHaveLength(1);
});

test('a generation is found by its id while it is written', async () => {
  const t = await tenant();
  await world.addGeneration(t, building, 'DROPPED');
  expect(await reconciles.findGeneration(t, live)).toMatchObject({ state: 'LIVE', dims: 384 });
  await expect(reconciles.findGeneration(t, building)).rejects.toThrow('no such generation');
  await expect(reconciles.findGeneration('rec-nobody', live)).rejects.toThrow('no such generation');
});

test('a source pauses with its reason, once; one that is going is left alone', async () => {
  const t = await tenant();
  const pause = createSourcePauses(world.database.worker);
  await pause(callerOf(t), sourceId, 'EMBEDDER_MISCONFIGURED');
  await pause(callerOf(t), sourceId, 'SOURCE_CONFIG_INVALID');
  const source = () => rowsOf(t, `select state, state_reason from etl_source where tenant_id = $1`);
  expect(await source()).toEqual([{ state: 'PAUSED', state_reason: 'EMBEDDER_MISCONFIGURED' }]);
  const audits = await rowsOf(
    t,
    `select 1 from audit_entry where tenant_id = $1 and entry like '%etl.source-paused%'`,
  );
  expect(audits).toHaveLength(1);
  await rowsOf(
    t,
    `update etl_source set state = 'DELETING', state_reason = null where tenant_id = $1`,
  );
  await pause(callerOf(t), sourceId, 'SOURCE_CONFIG_INVALID');
  expect(await source()).toEqual([{ state: 'DELETING', state_reason: null }]);
});
