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

test('W4: with its documents, a source hides them in the accepting transaction; rows follow, then it has ended', async () => {
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
  expect(await world.ledger.backlog(t, sourceId)).toMatchObject({ claimed: 0, pending: 5 });
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
  const changes = () => rowsOf(t, `select * from etl_change_event where tenant_id = $1`);
  const before = await changes();
  expect((await remove(t, 'delete_documents')).status).toBe(202);
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
  await world.claim(t);
  expect(await world.ledger.backlog(t, sourceId)).toMatchObject({ pending: 0, claimed: 2 });
  await rowsOf(
    t,
    `update etl_document set claim_until = now() - interval '1 second' where tenant_id = $1`,
  );
  expect(await world.ledger.backlog(t, sourceId)).toMatchObject({ pending: 2, claimed: 0 });
  await world.settle(t);
  expect(await end(t)).toBe(true);
});
