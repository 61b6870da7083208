import { createEtlCollectionStore } from '../../src/adapters/postgres/etl-collections.js';
import { createEtlDueWork } from '../../src/adapters/postgres/etl-due-work.js';
import type { ListedDocument } from '../../src/domain/etl/scan.js';
import { PlatformError } from '../../src/domain/errors.js';
import type { Caller } from '../../src/domain/events/change.js';
import { collectionId, sourceId } from './ledger-world.js';
import { ScanWorld } from './scan-world.js';

let world: ScanWorld;
let tenants = 0;
beforeAll(async () => {
  world = await ScanWorld.create();
});
afterAll(() => world.close());

async function tenant(...files: string[]): Promise<string> {
  const id = `scan-${++tenants}`;
  await world.seed(id);
  for (const key of files) world.put(id, key, `text of ${key}`);
  return id;
}
/** A folder whose documents are all indexed by a complete scan. */
async function indexed(...files: string[]): Promise<string> {
  const t = await tenant(...files);
  await world.scan(t);
  await world.settle(t);
  return t;
}
const many = (count: number): string[] =>
  Array.from({ length: count }, (_, at) => `file-${String(at).padStart(5, '0')}`);
const rowsOf = (t: string, sql: string, ...values: unknown[]) =>
  world.database.asSuperuser(sql, [t, ...values]);
const one = async (t: string, sql: string, ...values: unknown[]) => {
  const [row] = await rowsOf(t, sql, ...values);
  if (row === undefined) throw new Error('no row');
  return row;
};
const scanRow = (t: string, scanId: string) =>
  one(t, `select * from etl_scan where tenant_id = $1 and scan_id = $2`, scanId);
const lastComplete = async (t: string) =>
  (await one(t, `select last_complete_scan_at as at from etl_source where tenant_id = $1`)).at;
const approver = (t: string): Caller => ({
  tenant: t,
  actor: { subject: 'prn_approver', kind: 'person', roles: [], via: 'api' },
});
const decide = (t: string, scanId: string, decision: 'apply' | 'discard') =>
  world.store.decideScan(approver(t), scanId, { decision, reason: 'looked' });

test('a complete scan records what is new, changed or gone, and no more; what is gone is hidden at once', async () => {
  const t = await tenant('a', 'b', 'c');
  expect(await world.scan(t)).toMatchObject({ state: 'APPLIED', upserts: 3, deletes: 0 });
  expect(await world.settle(t)).toEqual(['a', 'b', 'c']);
  world.put(t, 'b', 'b anew');
  world.put(t, 'd', 'text of d');
  world.folder(t).delete('c');
  const { scanId, ...standing } = await world.scan(t);
  expect(standing).toEqual({ state: 'APPLIED', upserts: 2, deletes: 1, remainingMs: 0 });
  expect(await world.texts(t)).toEqual(['text of a', 'text of b']);
  expect(await world.settle(t)).toEqual(['b', 'd']);
  expect(await world.texts(t)).toEqual(['b anew', 'text of a', 'text of d']);
  expect(world.sink(t).rows.size).toBe(3);
  const row = await scanRow(t, scanId);
  expect(row).toMatchObject({ complete: true, counts: { upserts: 2, deletes: 1, withheld: 0 } });
  expect(await rowsOf(t, `select 1 from etl_scan_entry where tenant_id = $1`)).toEqual([]);
  expect(await lastComplete(t)).toEqual(row.created_at);
  const priorities = await rowsOf(
    t,
    `select distinct kind, priority from etl_change_event where tenant_id = $1 order by kind`,
  );
  expect(priorities).toEqual([
    { kind: 'delete', priority: 2 },
    { kind: 'upsert', priority: 4 },
  ]);
});

test('the watcher of a source is woken once until it has looked', async () => {
  const t = await tenant('a');
  await world.scan(t);
  world.put(t, 'b', 'two');
  await world.scan(t);
  const wakes = () => rowsOf(t, `select start->>'startedBy' as by from wake where tenant_id = $1`);
  expect(await wakes()).toEqual([{ by: 'relay' }]);
  await world.ledger.backlog(t, sourceId);
  world.put(t, 'c', 'three');
  await world.scan(t);
  expect(await wakes()).toHaveLength(2);
});

test('[G6] a listing with a gap deletes nothing, however complete its later pages are', async () => {
  const t = await indexed('a', 'b', 'c');
  const before = await lastComplete(t);
  world.put(t, 'd', 'text of d');
  world.folder(t).delete('a');
  world.folder(t).delete('b');
  const scanId = await world.begin(t);
  const [first, ...rest] = world.listing(t);
  await world.page(t, scanId, { entries: first ? [first] : [], cursor: '1', complete: false });
  await world.page(t, scanId, { entries: rest, complete: true });
  expect(await world.applyScan(t, scanId)).toMatchObject({
    ...{ state: 'APPLIED', upserts: 1, deletes: 0 },
  });
  await world.settle(t);
  expect(await world.texts(t)).toEqual(['text of a', 'text of b', 'text of c', 'text of d']);
  expect(await scanRow(t, scanId)).toMatchObject({ complete: false, reason: 'INCOMPLETE' });
  expect(await lastComplete(t)).toEqual(before);
});

test('[G6] a scan that failed, or did not reach the end, deletes nothing', async () => {
  const t = await indexed('a', 'b');
  const failed = await world.begin(t);
  await world.page(t, failed, { entries: [], cursor: '1' });
  await world.scans.failScan(approver(t), failed, 'SOURCE_UNAVAILABLE');
  await world.page(t, failed, { entries: [] });
  const standing = await world.applyScan(t, failed);
  expect(standing).toMatchObject({ state: 'FAILED', upserts: 0, deletes: 0 });
  await world.scans.failScan(approver(t), failed, 'OTHER');
  expect(await scanRow(t, failed)).toMatchObject({ state: 'FAILED', reason: 'SOURCE_UNAVAILABLE' });
  const short = await world.begin(t);
  await world.page(t, short, { entries: [], cursor: '1' });
  expect(await world.applyScan(t, short)).toMatchObject({ state: 'APPLIED', deletes: 0 });
  expect(await world.texts(t)).toHaveLength(2);
});

describe('a mass deletion waits for a person', () => {
  const waiting = async () => {
    const t = await indexed(...many(30));
    for (const key of many(25)) world.folder(t).delete(key);
    world.put(t, 'new', 'text of new');
    const scan = await world.scan(t);
    expect(scan).toMatchObject({ state: 'WAITING', upserts: 1, deletes: 25 });
    expect(scan.remainingMs).toBeGreaterThan(6.9 * 86_400_000);
    expect(scan.remainingMs).toBeLessThanOrEqual(7 * 86_400_000);
    await world.settle(t);
    expect(await world.texts(t)).toHaveLength(31);
    return { t, scanId: scan.scanId };
  };
  const audits = async (t: string, action: string) =>
    (
      await rowsOf(
        t,
        `select entry from audit_entry where tenant_id = $1 and entry like $2`,
        `%${action}%`,
      )
    ).length;

  test('no other scan of its source begins meanwhile, whoever asks for it', async () => {
    const { t, scanId } = await waiting();
    await expect(world.store.startScan(approver(t), sourceId)).rejects.toMatchObject({
      code: 'SCAN_RUNNING',
      extensions: { running: scanId, state: 'WAITING' },
    });
    await rowsOf(t, `update etl_source set schedule_ms = 1 where tenant_id = $1`);
    const due = createEtlDueWork(world.database.worker);
    const running = { state: 'SKIPPED', reason: 'RUNNING' };
    expect(await due.startDue(approver(t), { work: 'scan', id: sourceId })).toEqual(running);
    expect(await due.startHintedScan(approver(t), sourceId)).toEqual(running);
    const collections = createEtlCollectionStore(world.database.api);
    const chunking = { targetChars: 800, maxChars: 1_000 };
    const changed = await collections.changeCollection(approver(t), collectionId, { chunking });
    expect(changed.body.scans).toEqual([]);
    const twin = rowsOf(
      t,
      `insert into etl_scan (tenant_id, scan_id, source_id, state, requested_by) values ($1, 'scn_x', $2, 'RUNNING', 'prn_x')`,
      sourceId,
    );
    await expect(twin).rejects.toThrow('etl_scan_open_idx');
    await decide(t, scanId, 'discard');
    await world.applyScan(t, scanId);
    // Two at once: one begins, the other is told.
    const both = await Promise.allSettled([
      world.store.startScan(approver(t), sourceId),
      due.startHintedScan(approver(t), sourceId),
    ]);
    expect(both.filter(({ status }) => status === 'fulfilled').length).toBeGreaterThan(0);
    expect(
      await rowsOf(t, `select 1 from etl_scan where tenant_id = $1 and state = 'RUNNING'`),
    ).toHaveLength(1);
  });

  test('APPLY: what is absent goes, and looking again changes nothing', async () => {
    const { t, scanId } = await waiting();
    const { expires_at: until } = await scanRow(t, scanId);
    expect(await world.applyScan(t, scanId)).toMatchObject({ state: 'WAITING', deletes: 25 });
    expect((await scanRow(t, scanId)).expires_at).toEqual(until);
    await decide(t, scanId, 'apply');
    // An event that came while the scan waited speaks for its document.
    const back = many(1).join();
    world.put(t, back, 'back');
    await world.tell(t, back);
    const applied = { state: 'APPLIED', upserts: 1, deletes: 24, remainingMs: 0 };
    expect(await world.applyScan(t, scanId)).toEqual(applied);
    expect(await world.applyScan(t, scanId)).toEqual(applied);
    await world.settle(t);
    expect(await world.texts(t)).toHaveLength(7);
    expect(await lastComplete(t)).toEqual((await scanRow(t, scanId)).created_at);
  });

  test('DISCARD: everything stays', async () => {
    const { t, scanId } = await waiting();
    const before = await lastComplete(t);
    await decide(t, scanId, 'discard');
    expect(await world.applyScan(t, scanId)).toMatchObject({ state: 'DISCARDED', deletes: 0 });
    expect(await scanRow(t, scanId)).toMatchObject({ counts: { withheld: 25 }, reason: 'DECIDED' });
    expect(await world.texts(t)).toHaveLength(31);
    expect(await rowsOf(t, `select 1 from etl_scan_entry where tenant_id = $1`)).toEqual([]);
    expect(await lastComplete(t)).toEqual(before);
  });

  test('nobody decides: it is discarded, and deciding is over', async () => {
    const { t, scanId } = await waiting();
    await rowsOf(
      t,
      `update etl_scan set expires_at = now() where tenant_id = $1 and scan_id = $2`,
      scanId,
    );
    await expect(decide(t, scanId, 'apply')).rejects.toThrow(PlatformError);
    expect(await world.applyScan(t, scanId)).toMatchObject({ state: 'DISCARDED', deletes: 0 });
    expect(await world.texts(t)).toHaveLength(31);
  });

  test('new documents do not dilute it: the share is of what the source had', async () => {
    const t = await indexed(...many(25));
    world.folder(t).clear();
    for (const key of many(200)) world.put(t, `other-${key}`, key);
    expect(await world.scan(t)).toMatchObject({ state: 'WAITING', upserts: 200, deletes: 25 });
  });

  test('20 documents may go without asking, and so may a fifth of a source', async () => {
    const t = await indexed(...many(150));
    for (const key of many(30)) world.folder(t).delete(key);
    expect(await world.scan(t)).toMatchObject({ state: 'APPLIED', deletes: 30 });
    const small = await indexed(...many(20));
    world.folder(small).clear();
    expect(await world.scan(small)).toMatchObject({ state: 'APPLIED', deletes: 20 });
    expect(await audits(small, 'etl.scan-applied')).toBe(2);
  });
});

test('a page or a whole scan that is repeated counts once, also when two apply it at the same time', async () => {
  const t = await tenant('a', 'b', 'c');
  const scanId = await world.begin(t);
  await world.page(t, scanId, { cursor: '1' });
  await world.page(t, scanId, { cursor: '1' });
  await world.page(t, scanId);
  const both = await Promise.all([world.applyScan(t, scanId), world.applyScan(t, scanId)]);
  const standing = { state: 'APPLIED', upserts: 3, deletes: 0, remainingMs: 0 };
  expect(both).toEqual([standing, standing]);
  await world.page(t, scanId, { complete: false });
  expect(await world.applyScan(t, scanId)).toEqual(standing);
  expect(await world.settle(t)).toEqual(['a', 'b', 'c']);
  const changes = await rowsOf(t, `select 1 from etl_change_event where tenant_id = $1`);
  expect(changes).toHaveLength(3);
  const ended = await rowsOf(
    t,
    `select 1 from outbox where tenant_id = $1 and type = 'anneal.etl.scan_ended.v1'`,
  );
  expect(ended).toHaveLength(1);
});

describe('rung 1', () => {
  test('same tokens and the same pipeline: nothing is read, no row is written', async () => {
    const t = await indexed('a', 'b', 'c');
    const before = await rowsOf(t, `select * from etl_change_event where tenant_id = $1`);
    expect(await world.scan(t)).toMatchObject({ state: 'APPLIED', upserts: 0, deletes: 0 });
    expect(await rowsOf(t, `select * from etl_change_event where tenant_id = $1`)).toEqual(before);
    expect(await world.settle(t)).toEqual([]);
  });

  test('a fixed share is read although its token says nothing, once a scan', async () => {
    const t = await indexed('a', 'b', 'c');
    const { scanId, upserts } = await world.scan(t, ['b']);
    expect(upserts).toBe(1);
    expect(await world.settle(t)).toEqual(['b']);
    expect(await world.applyScan(t, scanId)).toMatchObject({ upserts: 1 });
    expect(await world.settle(t)).toEqual([]);
  });

  test('another pipeline reads everything again, what is quarantined too', async () => {
    const t = await indexed('a', 'b');
    world.put(t, 'bad', 'poison');
    await world.scan(t);
    const { batchId, documents } = await world.claim(t);
    const stop = { stage: 'parse', reason: 'parse_failed', hides: false, evidence: {} };
    await world.ledger.quarantine(
      t,
      batchId,
      documents.map(({ docId, fence }) => ({ docId, fence, ...stop })),
    );
    expect(await world.scan(t)).toMatchObject({ upserts: 0 });
    world.pii = { ...world.pii, policyVersion: 'policy-2' };
    await rowsOf(t, `update etl_collection set updated_at = now() where tenant_id = $1`);
    expect(await world.scan(t)).toMatchObject({ upserts: 3 });
    expect(await world.settle(t)).toEqual(['a', 'b', 'bad']);
    expect(await world.scan(t)).toMatchObject({ upserts: 0 });
  });

  test('what a steward gave up stays away until it changes; what is barred stays away', async () => {
    const t = await indexed('a');
    world.put(t, 'bad', 'poison');
    await world.scan(t);
    const { batchId, documents } = await world.claim(t);
    const stop = { stage: 'parse', reason: 'parse_failed', hides: false, evidence: {} };
    await world.ledger.quarantine(
      t,
      batchId,
      documents.map(({ docId, fence }) => ({ docId, fence, ...stop })),
    );
    await rowsOf(
      t,
      `update etl_change_event set state = 'SUPERSEDED' where tenant_id = $1 and state = 'QUARANTINED'`,
    );
    expect(await world.scan(t)).toMatchObject({ upserts: 0 });
    world.put(t, 'bad', 'better');
    expect(await world.scan(t)).toMatchObject({ upserts: 1 });
    await rowsOf(
      t,
      `insert into etl_suppression (tenant_id, kind, hmac, request_id) values ($1, 'document', $2, ''), ($1, 'document', $3, '')`,
      await world.docIdOf(t, 'a'),
      await world.docIdOf(t, 'e'),
    );
    world.put(t, 'a', 'a anew');
    world.put(t, 'e', 'never in');
    expect(await world.scan(t)).toMatchObject({ upserts: 0 });
  });
});

describe('live events and a full scan together lose and repeat nothing', () => {
  test('what came after the scan began is not deleted by it', async () => {
    const t = await indexed('a');
    const scanId = await world.begin(t);
    await world.page(t, scanId);
    world.put(t, 'late', 'text of late');
    await world.tell(t, 'late');
    expect(await world.applyScan(t, scanId)).toMatchObject({ upserts: 0, deletes: 0 });
    expect(await world.settle(t)).toEqual(['late']);
    expect(await world.texts(t)).toEqual(['text of a', 'text of late']);
  });

  test('what was deleted after it was listed does not come back, and what was told is not read again', async () => {
    const t = await indexed('a', 'b');
    const scanId = await world.begin(t);
    world.put(t, 'c', 'text of c');
    await world.page(t, scanId);
    world.folder(t).delete('a');
    await world.tell(t, 'a');
    world.put(t, 'b', 'b anew');
    await world.tell(t, 'b');
    expect(await world.settle(t)).toEqual(['b']);
    expect(await world.applyScan(t, scanId)).toMatchObject({ upserts: 1, deletes: 0 });
    expect(await world.settle(t)).toEqual(['c']);
    expect(await world.texts(t)).toEqual(['b anew', 'text of c']);
  });

  test('what waits to be read anyway is not recorded twice; a file that is back is', async () => {
    const t = await indexed('a', 'b');
    world.put(t, 'a', 'a anew');
    await world.tell(t, 'a');
    const { text } = world.folder(t).get('b') ?? { text: '' };
    world.folder(t).delete('b');
    await world.tell(t, 'b');
    world.put(t, 'b', text);
    expect(await world.scan(t)).toMatchObject({ upserts: 1, deletes: 0 });
    expect(await world.settle(t)).toEqual(['a', 'b']);
    expect(await world.texts(t)).toEqual(['a anew', 'text of b']);
  });
});

test('a listing of many pages is applied in steps, each entry once', async () => {
  const t = await tenant();
  const entries: ListedDocument[] = many(12_001).map((naturalKey) => ({ naturalKey, token: 't' }));
  const scanId = await world.begin(t);
  for (let at = 0; at < entries.length; at += 5_000) {
    const cursor = at + 5_000 < entries.length ? { cursor: String(at + 5_000) } : {};
    await world.page(t, scanId, { entries: entries.slice(at, at + 5_000), ...cursor });
  }
  expect(await world.applyScan(t, scanId)).toMatchObject({ state: 'APPLIED', upserts: 12_001 });
  const found = await one(
    t,
    `select count(*)::int as changes, count(distinct doc_id)::int as documents, count(distinct seq)::int as places
     from etl_change_event where tenant_id = $1 and state = 'PENDING'`,
  );
  expect(found).toEqual({ changes: 12_001, documents: 12_001, places: 12_001 });
  const emptied = await world.begin(t);
  await rowsOf(t, `update etl_source set delete_guard_bp = 10000 where tenant_id = $1`);
  await world.page(t, emptied, { entries: [] });
  expect(await world.applyScan(t, emptied)).toMatchObject({ state: 'APPLIED', deletes: 12_001 });
});
