import { createEtlDocumentStore } from '../../src/adapters/postgres/etl-documents.js';
import { createEtlQuarantineStore } from '../../src/adapters/postgres/etl-quarantine.js';
import { createEtlReconcileLedger } from '../../src/adapters/postgres/etl-reconcile-ledger.js';
import { docId } from '../../src/domain/etl/fingerprints.js';
import { callerOf, live, sourceId, upsert } from './ledger-world.js';
import { Killed, WritePathWorld } from './write-path-world.js';

let world: WritePathWorld;
let tenants = 0;
beforeAll(async () => {
  world = await WritePathWorld.create();
});
afterAll(() => world.close());

async function tenant(): Promise<string> {
  const id = `path-${++tenants}`;
  await world.seed(id);
  Object.assign(world, { embedded: 0, violations: [], unindexed: 0, loses: () => false });
  return id;
}
const about = (topic: string): string =>
  `Everything that the handbook says about ${topic}, told in one paragraph of its own, at some length and with care.`;

test('an erased document stays out: the API is told, other ways in are marked, what was waiting is dropped', async () => {
  const t = await tenant();
  const documents = createEtlDocumentStore(world.database.api, world.parts.cipher);
  const states = () =>
    world.rows(
      t,
      `select kind, state, count(*)::int as n from etl_change_event where tenant_id = $tenant group by 1, 2 order by 1, 2`,
    );
  await world.put(t, { 'a.txt': about('keys') });
  await world.run(t);
  await world.put(t, { 'a.txt': about('newer keys') });
  await documents.suppressDocument(callerOf(t), await idOf(t, 'a.txt'));
  expect(await world.run(t)).toMatchObject({ claimed: 0 });
  const back = upsert('a.txt', 'back', { contentRef: about('keys') });
  await expect(world.ledger.submitChanges(callerOf(t), sourceId, [back])).rejects.toMatchObject({
    code: 'DOCUMENT_SUPPRESSED',
  });
  const gone = { ...upsert('a.txt', 'gone'), kind: 'delete' as const, priority: 2 as const };
  await world.ledger.submitChanges(callerOf(t), sourceId, [gone]);
  expect(await world.run(t)).toMatchObject({ claimed: 1, deleted: 1 });
  const other = upsert('b.txt', 'v', { contentRef: about('bells') });
  expect(await world.record(t, back, other)).toMatchObject({ recorded: 1 });
  expect(await world.run(t)).toMatchObject({ claimed: 1, indexed: 1 });
  expect(await states()).toEqual([
    { kind: 'delete', state: 'APPLIED', n: 1 },
    { kind: 'upsert', state: 'APPLIED', n: 2 },
    { kind: 'upsert', state: 'SUPPRESSED', n: 2 },
  ]);
  const stored = await world.rowsOf(t, 'vectors');
  expect(stored.map(({ text }) => text.includes('bells'))).toEqual([true]);
});

test('a text that is more tokens than the embedder takes is cut into more chunks, none of them refused', async () => {
  const t = await tenant();
  const { chunkTokens } = world;
  Object.assign(world, { refusesAbove: 300, chunkTokens: { ...chunkTokens, max: 300 } });
  try {
    const text = '钥匙每年更换一次，由安全组负责，并且记录在案。'.repeat(40);
    await world.put(t, { 'keys.txt': text });
    expect(await world.run(t)).toMatchObject({ claimed: 1, indexed: 1, quarantined: 0 });
    const stored = await world.rowsOf(t, 'vectors');
    expect(stored.every((row) => Buffer.byteLength(row.text) <= 300)).toBe(true);
    expect(stored.map((row) => row.text.length).reduce((a, b) => a + b)).toBeGreaterThanOrEqual(
      text.length,
    );
    // Another guard is another chunker: the same bytes go through it.
    Object.assign(world, { chunkTokens: { ...chunkTokens, max: 200 } });
    await world.put(t, { 'keys.txt': text });
    expect(await world.run(t)).toMatchObject({ indexed: 1 });
    expect((await world.rowsOf(t, 'vectors')).length).toBeGreaterThan(stored.length);
  } finally {
    Object.assign(world, { refusesAbove: Infinity, chunkTokens });
  }
});

test('a released document passes its gate for the very same bytes, once; a reason of access is never released', async () => {
  const t = await tenant();
  const stewards = createEtlQuarantineStore(world.database.api, world.parts.cipher);
  const items = () =>
    world.rows(
      t,
      `select item_id, reason, state from etl_quarantine_item where tenant_id = $tenant order by item_id`,
    );
  await world.put(t, { 'a.txt': 'too short' });
  expect(await world.run(t)).toMatchObject({ claimed: 1, quarantined: 1 });
  const [item] = await items();
  const verdict = { verb: 'release', reason: 'it is a sign' } as const;
  await stewards.decideItem(callerOf(t), String(item?.item_id), verdict);
  expect(await world.run(t)).toMatchObject({ claimed: 1, indexed: 1, quarantined: 0 });
  expect(await items()).toMatchObject([{ reason: 'empty_text', state: 'RESOLVED' }]);
  await world.put(t, { 'a.txt': about('signs') });
  await world.run(t);
  await world.put(t, { 'a.txt': 'too short' });
  expect(await world.run(t)).toMatchObject({ quarantined: 1 });
  const [, again] = await items();
  await stewards.decideItem(callerOf(t), String(again?.item_id), verdict);
  await world.put(t, { 'a.txt': 'other' });
  expect(await world.run(t)).toMatchObject({ quarantined: 1 });
  await world.put(t, { 'closed.txt': about('doors') }, { acl: [] });
  await world.run(t);
  const closed = (await items()).find(({ reason }) => reason === 'acl_unresolved');
  await expect(
    stewards.decideItem(callerOf(t), String(closed?.item_id), verdict),
  ).rejects.toMatchObject({ code: 'NOT_RELEASABLE' });
});

test('[W5] a sampled commit whose rows the store lost is counted and starts one reconcile; a whole store starts none', async () => {
  const t = await tenant();
  const reconciles = () =>
    world.rows(t, `select state, requested_by from etl_reconcile where tenant_id = $tenant`);
  const texts = (name: string) =>
    Object.fromEntries(
      Array.from({ length: 400 }, (_, at) => [`${name} ${at}`, about(`${name} ${at}`)]),
    );
  await world.put(t, texts('whole'));
  expect(await world.run(t)).toMatchObject({ indexed: 400 });
  expect(world.violations).toEqual([]);
  expect(await reconciles()).toEqual([]);
  world.loses = () => true;
  await world.put(t, texts('lost'));
  expect(await world.run(t)).toMatchObject({ indexed: 400 });
  expect(world.violations.length).toBeGreaterThan(0);
  expect(world.violations.length).toBeLessThan(20);
  expect(new Set(world.violations)).toEqual(new Set(['missing_row']));
  expect(await reconciles()).toMatchObject([{ state: 'RUNNING' }]);
  const [{ starts } = {}] = await world.rows(
    t,
    `select count(*)::int as starts from intent where tenant_id = $tenant and workflow_type = 'reconcileGeneration'`,
  );
  expect(starts).toBe(1);
}, 60_000);

test('rung 5: metadata and access alone reach ledger and store without an embed, and keep every row', async () => {
  const t = await tenant();
  const text = `${about('teams')}\n\n${about('rooms')}\n\n${about('keys')}`;
  await world.put(t, { 'a.txt': text }, { metadata: { team: 'blue', tags: ['x'] } });
  await world.run(t);
  const before = await world.rowsOf(t, 'vectors');
  expect(before.length).toBeGreaterThan(1);
  expect(before.map(({ metadata }) => metadata.team)).toEqual(before.map(() => 'blue'));
  world.embedded = 0;
  await world.put(t, { 'a.txt': text }, { metadata: { team: 'red', tags: ['y'] } });
  expect(await world.run(t)).toMatchObject({ claimed: 1, indexed: 1 });
  const after = await world.rowsOf(t, 'vectors');
  const byId = (rows: typeof before) => [...rows].sort((a, b) => (a.rowId < b.rowId ? -1 : 1));
  expect(byId(after)).toEqual(
    byId(before).map((row) => ({ ...row, metadata: { ...row.metadata, team: 'red' } })),
  );
  const [document] = await world.rows(
    t,
    `select d.live_rev, d.meta_hash = m.meta_hash as followed, m.is_behind from etl_document d
     join etl_manifest m using (tenant_id, doc_id) where d.tenant_id = $tenant`,
  );
  expect(document).toEqual({ live_rev: 2, followed: true, is_behind: false });
  const acl = ['group:board', 'group:staff'];
  await world.record(t, { ...upsert('a.txt', 'acl 1'), kind: 'acl', content: { name: 'a', acl } });
  expect(await world.run(t)).toMatchObject({ claimed: 1, unchanged: 1 });
  expect((await world.rowsOf(t, 'vectors')).map((row) => row.acl)).toEqual(after.map(() => acl));
  expect((await world.rowsOf(t, 'words')).map((row) => row.acl)).toEqual(after.map(() => acl));
  await world.put(
    t,
    { 'a.txt': text },
    {
      metadata: { team: 'red', tags: ['y'] },
      acl: ['group:board'],
    },
  );
  expect(await world.run(t)).toMatchObject({ claimed: 1, unchanged: 1 });
  expect((await world.rowsOf(t, 'words')).map((row) => row.acl)).toEqual(
    after.map(() => ['group:board']),
  );
  expect(
    byId(await world.rowsOf(t, 'vectors')).map(({ rowId, vector }) => ({ rowId, vector })),
  ).toEqual(byId(before).map(({ rowId, vector }) => ({ rowId, vector })));
  expect(world.embedded).toBe(0);
});

test('a chunk without a word is committed without a row: counted, and missed by no reconcile', async () => {
  const t = await tenant();
  const rule = '— — — — — — — — — — — — — — — — — — —';
  await world.put(t, { 'a.txt': rule }, { title: '***' });
  await world.put(t, { 'b.txt': about('bells') });
  expect(await world.run(t)).toMatchObject({ indexed: 2 });
  expect(world.unindexed).toBe(1);
  const sink = await world.sinkOf(t);
  const compare = async () =>
    createEtlReconcileLedger(world.parts).compareRows(t, live, {
      ...{ reconcileId: 'rec_1', index: 0, of: 1 },
      rows: sink.scanIds({ index: 0, of: 1 }),
    });
  expect(await compare()).toMatchObject({ rows: 1, missing: [], orphanRowIds: [] });
  await world.put(t, { 'a.txt': rule }, { title: '***', metadata: { team: 'blue' } });
  expect(await world.run(t)).toMatchObject({ indexed: 1 });
  expect(await compare()).toMatchObject({ rows: 1, missing: [], orphanRowIds: [] });
  const [row] =
    (await sink.fetch((await world.rowsOf(t, 'vectors')).map(({ rowId }) => rowId))) ?? [];
  await sink.replaceRows({ adds: [], deleteIds: [row?.rowId ?? ''], epoch: 99n });
  expect((await compare()).missing).toHaveLength(1);
});

test('K7 lies between upsert and delete: old and new rows are there, and the next try ends with the new ones', async () => {
  const t = await tenant();
  await world.put(t, { 'a.txt': about('locks') });
  await world.run(t);
  const [old] = await world.rowsOf(t, 'words');
  let between: string[] = [];
  world.killAt = 'etl.k7';
  world.atKill = async () => {
    between = (await world.rowsOf(t, 'words')).map(({ rowId }) => rowId);
  };
  await world.put(t, { 'a.txt': about('bolts') });
  await expect(world.run(t, 'bat_k7')).rejects.toThrow(Killed);
  expect(between).toHaveLength(2);
  expect(between).toContain(old?.rowId);
  expect(await world.run(t, 'bat_k7')).toMatchObject({ indexed: 1 });
  const rows = await world.rowsOf(t, 'words');
  expect(rows.map(({ rowId }) => rowId)).toEqual(between.filter((id) => id !== old?.rowId));
});

test('a text that says nearly what another says is flagged with it, committed or in the same batch', async () => {
  const t = await tenant();
  const flags = async (key: string) => {
    const [row] = await world.rows(
      t,
      `select r.findings->'flags' as flags from etl_revision r join etl_document d using (tenant_id, doc_id)
       where r.tenant_id = $tenant and d.doc_id = '${await idOf(t, key)}' order by r.rev desc limit 1`,
    );
    return row?.flags;
  };
  const long = (subject: string) =>
    Array.from(
      { length: 40 },
      (_, at) => `Rule ${at} of the house says: ${subject} ${at * 3}.`,
    ).join(' ');
  const edited = long('close the door').replace('Rule 20', 'Rule twenty');
  await world.put(t, { first: long('close the door') });
  await world.put(t, { other: long('water every plant and feed the cat on day') });
  await world.run(t);
  expect(await flags('first')).toEqual([]);
  await world.put(t, { copy: edited });
  await world.put(t, { 'copy of the copy': edited.replace('Rule 21', 'Rule twenty-one') });
  await world.run(t);
  const near = async (key: string) => ({
    flag: 'near_duplicate',
    evidence: { document: await idOf(t, key), distance: expect.any(Number) as number },
  });
  expect(await flags('copy')).toEqual([await near('first')]);
  expect(await flags('other')).toEqual([]);
  await world.record(t, { ...upsert('first', 'gone'), kind: 'delete', priority: 2 });
  await world.run(t);
  const [bands] = await world.rows(
    t,
    `select count(*)::int as rows, count(distinct doc_id)::int as documents from etl_simhash_band where tenant_id = $tenant`,
  );
  expect(bands).toEqual({ rows: 12, documents: 3 });
});

/** The id of a document that was recorded. */
async function idOf(t: string, key: string): Promise<string> {
  const rows = await world.rows(
    t,
    `select doc_id, key_hash from etl_document where tenant_id = $tenant`,
  );
  const id = docId((await world.parts.keyOf(t)).reveal(), sourceId, key);
  expect(rows.map((row) => row.doc_id)).toContain(id);
  return id;
}
