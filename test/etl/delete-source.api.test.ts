import { MockActivityEnvironment } from '@temporalio/testing';
import { createEtlActivities, type EtlDeps } from '../../src/activities/etl/index.js';
import { createEtlSourceStore } from '../../src/adapters/postgres/etl-sources.js';
import type { DeleteMode } from '../../src/domain/etl/collection-view.js';
import { callerOf, sourceId } from './ledger-world.js';
import { ScanWorld } from './scan-world.js';

let world: ScanWorld;
let tenants = 0;
beforeAll(async () => {
  world = await ScanWorld.create();
});
afterAll(() => world.close());

/** A folder whose documents `a` and `b` are indexed. */
async function tenant(): Promise<string> {
  const t = `going-${++tenants}`;
  await world.seed(t);
  for (const key of 'ab') world.put(t, key, `text of ${key}`);
  await world.scan(t);
  await world.settle(t);
  await world.ledger.backlog(t, sourceId);
  await rowsOf(t, `delete from wake where tenant_id = $1`);
  return t;
}
const rowsOf = (t: string, sql: string, ...values: unknown[]) =>
  world.database.asSuperuser(sql, [t, ...values]);
const remove = (t: string, mode: DeleteMode) =>
  createEtlSourceStore(world.database.api).deleteSource(callerOf(t), sourceId, mode);
/** What the watcher's look does: pages until none is left. */
async function record(t: string): Promise<number> {
  let pages = 0;
  for (let after: string | undefined = ''; after !== undefined; pages++)
    after = await world.ledger.deleteSourcePage(callerOf(t), sourceId, after);
  return pages;
}
/** One look of the watcher. */
const look = (t: string) => {
  const deps: Partial<EtlDeps> = { ledger: world.ledger };
  const { readWatch } = createEtlActivities(deps as EtlDeps);
  return new MockActivityEnvironment().run(readWatch, { tenant: t, sourceId });
};
const end = (t: string) => world.ledger.endSource(callerOf(t), sourceId);
const stateOf = async (t: string) =>
  (await rowsOf(t, `select state from etl_source where tenant_id = $1`))[0]?.state;
const audits = async (t: string, action: string) =>
  (
    await rowsOf(
      t,
      `select 1 from audit_entry where tenant_id = $1 and entry like $2`,
      `%"action":"${action}"%`,
    )
  ).length;

test('[W4] with its documents, a source hides them in the accepting transaction; rows follow, then it has ended', async () => {
  const t = await tenant();
  // One that waits to be read anew, one that was never read, one that is being written.
  world.put(t, 'a', 'a anew');
  await world.tell(t, 'a');
  world.put(t, 'c', 'text of c');
  await world.tell(t, 'c');
  world.put(t, 'b', 'b anew');
  await world.tell(t, 'b');
  const { batchId, documents } = await world.claim(t, 1);
  const writes = await world.intend(t, batchId, documents);
  world.apply(t, writes);
  const { status, wakes } = await remove(t, 'delete_documents');
  expect({ status, wakes: wakes.length }).toEqual({ status: 202, wakes: 1 });
  expect(await world.texts(t)).toEqual([]);
  await world.commit(t, { batchId }, writes);
  expect(await world.texts(t)).toEqual([]);
  expect(await end(t)).toBe(false);
  await record(t);
  expect(await end(t)).toBe(false);
  expect(await world.ledger.backlog(t, sourceId)).toMatchObject({ held: 0, pending: 5 });
  expect(await world.settle(t)).toEqual([]);
  expect(world.sink(t).rows.size).toBe(0);
  expect(await stateOf(t)).toBe('DELETING');
  expect(await end(t)).toBe(true);
  expect(await end(t)).toBe(false);
  expect(await stateOf(t)).toBe('DELETED');
  expect(await audits(t, 'etl.source-deleting')).toBe(1);
  expect(await audits(t, 'etl.source-deleted')).toBe(1);
  const left = await rowsOf(
    t,
    `select 1 from etl_document where tenant_id = $1 and deleted_at is null`,
  );
  expect(left).toEqual([]);
});

test('repeating it changes nothing, and nothing comes in any more', async () => {
  const t = await tenant();
  await remove(t, 'delete_documents');
  await record(t);
  const changes = () => rowsOf(t, `select * from etl_change_event where tenant_id = $1`);
  const before = await changes();
  expect((await remove(t, 'delete_documents')).status).toBe(202);
  await record(t);
  await expect(remove(t, 'keep')).rejects.toThrow('deleted otherwise');
  world.put(t, 'new', 'too late');
  await expect(world.tell(t, 'new')).rejects.toThrow('no such source');
  expect(await changes()).toEqual(before);
  await world.settle(t);
  await end(t);
  await expect(remove(t, 'delete_documents')).rejects.toThrow('no such source');
});

test('a scan that waits is told, and decides nothing any more', async () => {
  const t = await tenant();
  for (let at = 0; at < 30; at++) world.put(t, `file-${at}`, `text ${at}`);
  await world.scan(t);
  await world.settle(t);
  world.folder(t).clear();
  const { scanId, state } = await world.scan(t);
  expect(state).toBe('WAITING');
  const { wakes } = await remove(t, 'delete_documents');
  expect(wakes.map(({ workflowId }) => workflowId)).toContain(`etl/${t}/${scanId}`);
  expect(await world.applyScan(t, scanId)).toMatchObject({ state: 'DISCARDED', deletes: 0 });
  await record(t);
  await world.settle(t);
  expect(await end(t)).toBe(true);
});

test('without them, documents stay as they are, what was not read is not read, and each can be deleted later', async () => {
  const t = await tenant();
  world.put(t, 'a', 'a anew');
  await world.tell(t, 'a');
  world.put(t, 'c', 'text of c');
  await world.tell(t, 'c');
  world.folder(t).delete('b');
  await world.tell(t, 'b');
  await remove(t, 'keep');
  expect(await record(t)).toBe(1);
  expect(await end(t)).toBe(false);
  expect(await world.settle(t)).toEqual([]);
  expect(await end(t)).toBe(true);
  expect(await world.texts(t)).toEqual(['text of a']);
  expect(world.sink(t).rows.size).toBe(1);
  await world.ledger.backlog(t, sourceId);
  world.folder(t).delete('a');
  await world.tell(t, 'a');
  expect(await world.texts(t)).toEqual([]);
  expect(await world.ledger.backlog(t, sourceId)).toMatchObject({ pending: 1 });
  await world.settle(t);
  expect(world.sink(t).rows.size).toBe(0);
});

test('a change whose claim has lapsed is due again: a lost batch does not keep a source from ending', async () => {
  const t = await tenant();
  await remove(t, 'delete_documents');
  await record(t);
  await world.claim(t);
  expect(await world.ledger.backlog(t, sourceId)).toMatchObject({ pending: 0, held: 2 });
  await rowsOf(
    t,
    `update etl_document set claim_until = now() - interval '1 second' where tenant_id = $1`,
  );
  expect(await world.ledger.backlog(t, sourceId)).toMatchObject({ pending: 2, held: 0 });
  await world.settle(t);
  expect(await end(t)).toBe(true);
});

test('the looks of the watcher take a source to its end: they record, and end it where nothing is left to apply', async () => {
  const t = await tenant();
  await remove(t, 'delete_documents');
  expect(await look(t)).toMatchObject({ state: 'DELETING', pending: 2 });
  expect(await look(t)).toMatchObject({ state: 'DELETING', pending: 2 });
  await world.settle(t);
  expect(await look(t)).toMatchObject({ state: 'DELETED', pending: 0 });
  expect(world.sink(t).rows.size).toBe(0);
  expect(await stateOf(t)).toBe('DELETED');
});

test('[G3] what is committed before its page is recorded shows nothing, neither to a search nor to a citation', async () => {
  const t = await tenant();
  world.put(t, 'a', 'a anew');
  await world.tell(t, 'a');
  const told = async () => {
    const spans = [{ docId: await world.docIdOf(t, 'b'), rev: 1, start: 0, end: 4 }];
    const reader = { principals: ['group:staff'], purpose: 'support' };
    return (await world.reads.readSpans(t, { spans, ...reader }))[0];
  };
  expect(await told()).toMatchObject({ text: 'text' });
  await remove(t, 'delete_documents');
  expect(await told()).toEqual({ refused: 'NOT_FOUND' });
  // Batches go on between the two: they find a change that nothing has overtaken yet.
  expect(await world.settle(t)).toEqual(['a']);
  expect(await world.texts(t)).toEqual([]);
  expect(await end(t)).toBe(false);
  await record(t);
  expect(await world.texts(t)).toEqual([]);
  await world.settle(t);
  expect(world.sink(t).rows.size).toBe(0);
  expect(await end(t)).toBe(true);
});

test('many documents are hidden by one row and go page by page; what a crash left is found by the next look', async () => {
  const t = await tenant();
  await rowsOf(
    t,
    `insert into etl_document (tenant_id, doc_id, source_id, collection_id, key_hash, natural_key_enc, acl, denied_purposes)
     select $1, gen_random_uuid(), $2, c.collection_id, md5(n::text), '', '{group:staff}', '{}'
     from generate_series(1, 12000) n, etl_collection c where c.tenant_id = $1`,
    sourceId,
  );
  await remove(t, 'delete_documents');
  expect(await world.texts(t)).toEqual([]);
  const count = async (what: string) =>
    Number(
      (
        await rowsOf(t, `select count(*) as n from etl_document where tenant_id = $1 and ${what}`)
      )[0]?.n,
    );
  expect(await count('deleted_at is null')).toBe(12_002);
  await world.ledger.deleteSourcePage(callerOf(t), sourceId, '');
  expect(await count('deleted_at is null')).toBe(10_002);
  expect(await record(t)).toBe(6);
  expect(await count('deleted_at is null')).toBe(0);
  expect(await world.ledger.backlog(t, sourceId)).toMatchObject({ pending: 12_002 });
  expect(await record(t)).toBe(1);
  expect(await world.ledger.backlog(t, sourceId)).toMatchObject({ pending: 12_002 });
});
