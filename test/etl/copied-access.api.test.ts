import { hashOfCopy } from '../../src/adapters/postgres/etl-rows.js';
import { upsert } from './ledger-world.js';
import { Killed, WritePathWorld } from './write-path-world.js';

let world: WritePathWorld;
let tenants = 0;
beforeAll(async () => {
  world = await WritePathWorld.create();
});
afterAll(() => world.close());

const about = (topic: string): string =>
  `Everything that the handbook says about ${topic}, told in one paragraph of its own, at some length and with care.`;
const wide = ['group:board', 'group:staff'];
const narrow = ['group:board'];

async function storedAccess(t: string): Promise<string[]> {
  const rows = await world.rowsOf(t, 'vectors');
  for (const { acl, accessHash } of rows) expect(accessHash).toBe(hashOfCopy(acl));
  return [...new Set(rows.map(({ acl }) => acl.join(' ')))];
}

const changeAccess = (t: string, acl: string[], version: string) =>
  world.record(t, { ...upsert('a.txt', version), kind: 'acl', content: { name: 'a.txt', acl } });

test('[G1, W3] access that is narrowed while rows are copied, and given back with another text, reaches every row again', async () => {
  const t = `copied-${++tenants}`;
  await world.seed(t);
  const kept = `${about('teams')}\n\n${about('rooms')}`;
  await world.put(t, { 'a.txt': kept }, { acl: narrow });
  await world.run(t);
  // A batch widens access; before it copies that, a change arrives that takes it back.
  await changeAccess(t, wide, 'wide');
  await world.put(t, { 'b.txt': about('bells') }, { acl: wide });
  world.killAt = 'etl.k8';
  world.atKill = async () =>
    void (await world.put(t, { 'a.txt': about('doors') }, { acl: narrow }));
  await expect(world.run(t, 'bat_killed')).rejects.toThrow(Killed);
  await world.run(t, 'bat_killed');
  // Instead of it, one that says: as wide as before, and a paragraph more.
  await world.put(t, { 'a.txt': `${kept}\n\n${about('keys')}` }, { acl: wide });
  await world.run(t);
  expect(await storedAccess(t)).toEqual([wide.join(' ')]);
  const [document] = await world.rows(
    t,
    `select bool_or(m.is_behind) as behind, bool_and(m.acl_hash = d.acl_hash) as followed from etl_document d
     join etl_manifest m using (tenant_id, doc_id) where d.tenant_id = $tenant`,
  );
  expect(document).toEqual({ behind: false, followed: true });
});

test('[W3] access that is narrowed while rows are copied follows the narrowing change, too', async () => {
  const t = `copied-${++tenants}`;
  await world.seed(t);
  await world.put(t, { 'a.txt': about('teams') }, { acl: narrow });
  await world.run(t);
  await changeAccess(t, wide, 'wide');
  await world.put(t, { 'b.txt': about('bells') }, { acl: narrow });
  world.killAt = 'etl.k8';
  world.atKill = async () => void (await changeAccess(t, ['group:staff'], 'other'));
  await expect(world.run(t, 'bat_killed_too')).rejects.toThrow(Killed);
  await world.run(t, 'bat_killed_too');
  expect((await storedAccess(t)).sort()).toEqual(['group:board', 'group:staff']);
  await world.run(t);
  expect((await storedAccess(t)).sort()).toEqual(['group:board', 'group:staff']);
});

test('[G1, G3] an upload that returns to an earlier access list under the same text is a change, to more readers and to fewer', async () => {
  const t = `copied-${++tenants}`;
  await world.seed(t);
  await world.rows(t, `update etl_source set kind = 'upload' where tenant_id = $tenant`);
  for (const acl of [narrow, wide, narrow, wide, narrow]) {
    const content = { name: 'a.txt', mediaType: 'text/plain', acl };
    const version = `hash of the text and ${acl.join(' ')}`;
    await world.record(t, upsert('a.txt', version, { contentRef: about('teams'), content }));
    await world.run(t);
    const [document] = await world.rows(
      t,
      `select acl, live_rev from etl_document where tenant_id = $tenant`,
    );
    expect(document).toEqual({ acl, live_rev: 1 });
    expect(await storedAccess(t)).toEqual([acl.join(' ')]);
  }
});

test('[G1, G3] a file that goes back to the bytes it had before its access alone changed has the access it declares', async () => {
  const t = `copied-${++tenants}`;
  await world.seed(t);
  for (const acl of [narrow, wide, narrow, wide, narrow]) {
    await world.put(t, { 'a.txt': `acl: ${acl.join(' ')}\n${about('teams')}` });
    await world.run(t);
    const [document] = await world.rows(
      t,
      `select acl, live_rev from etl_document where tenant_id = $tenant`,
    );
    expect(document).toEqual({ acl, live_rev: 1 });
    expect(await storedAccess(t)).toEqual([acl.join(' ')]);
  }
});

test('[G1] access that was cut because a later change waited is whole again, although that change brings the same bytes', async () => {
  const t = `copied-${++tenants}`;
  await world.seed(t);
  const bytesFor = (acl: string[]) => `acl: ${acl.join(' ')}\n${about('teams')}`;
  await world.put(t, { 'a.txt': bytesFor(narrow) });
  await world.run(t);
  await world.put(t, { 'a.txt': bytesFor(wide) });
  world.killAt = 'etl.k4';
  world.atKill = async () => void (await world.put(t, { 'a.txt': bytesFor(wide) }));
  await expect(world.run(t, 'bat_cut')).rejects.toThrow(Killed);
  await world.run(t, 'bat_cut');
  await world.run(t);
  const [document] = await world.rows(
    t,
    `select acl, live_rev from etl_document where tenant_id = $tenant`,
  );
  expect(document).toEqual({ acl: wide, live_rev: 1 });
  expect(await storedAccess(t)).toEqual([wide.join(' ')]);
});
