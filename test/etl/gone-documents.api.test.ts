import { upsert } from './ledger-world.js';
import { WritePathWorld } from './write-path-world.js';

let world: WritePathWorld;
let tenants = 0;
beforeAll(async () => {
  world = await WritePathWorld.create();
});
afterAll(() => world.close());

async function tenant(): Promise<string> {
  const id = `gone-${++tenants}`;
  await world.seed(id);
  return id;
}
const about = (topic: string): string =>
  `Everything that the handbook says about ${topic}, told in one paragraph of its own, at some length and with care.`;
/** Somebody says that it changed; whoever reads it finds nothing there. */
const hint = (t: string, version: string) => world.record(t, upsert('a.txt', version));
const document = async (t: string) => {
  const [row] = await world.rows(
    t,
    `select claim_batch, live_rev, deleted_at is not null as deleted from etl_document where tenant_id = $tenant`,
  );
  return row;
};

test('a document that vanished before it was first read holds up nothing, and comes in once it is there', async () => {
  const t = await tenant();
  await hint(t, 'h1');
  expect(await world.run(t)).toMatchObject({ claimed: 1, indexed: 0, quarantined: 0 });
  expect(await document(t)).toMatchObject({ claim_batch: null, live_rev: null });
  await world.put(t, { 'a.txt': about('locks') });
  expect(await world.run(t)).toMatchObject({ claimed: 1, indexed: 1 });
  expect(await document(t)).toMatchObject({ claim_batch: null, deleted: false });
});

test('[G6] that a live document cannot be found proves nothing', async () => {
  const t = await tenant();
  await world.put(t, { 'a.txt': about('locks') });
  await world.run(t);
  await hint(t, 'h1');
  expect(await world.run(t)).toMatchObject({ claimed: 1, unchanged: 1, deleted: 0 });
  expect(await document(t)).toMatchObject({ claim_batch: null, deleted: false });
  expect(await world.rowsOf(t, 'vectors')).toHaveLength(1);
});

test('[G3] what a deletion has hidden stays hidden although somebody said it was back, and its rows go', async () => {
  const t = await tenant();
  await world.put(t, { 'a.txt': about('locks') });
  await world.run(t);
  await world.record(t, { ...upsert('a.txt', 'gone', { priority: 2 }), kind: 'delete' });
  await hint(t, 'h1');
  expect(await document(t)).toMatchObject({ deleted: true });
  expect(await world.run(t)).toMatchObject({ claimed: 1, deleted: 1 });
  expect(await document(t)).toMatchObject({ claim_batch: null, live_rev: null, deleted: true });
  expect(await world.rowsOf(t, 'vectors')).toEqual([]);
});
