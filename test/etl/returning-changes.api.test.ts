import { LedgerWorld, upsert } from './ledger-world.js';

let world: LedgerWorld;
let tenants = 0;
beforeAll(async () => {
  world = await LedgerWorld.create();
});
afterAll(() => world.close());

async function tenant(kind: string): Promise<string> {
  const id = `returning-${++tenants}`;
  await world.seed(id, kind);
  return id;
}

test('an upload that returns to an earlier content is a change, not a redelivery', async () => {
  const t = await tenant('upload');
  for (const text of ['one', 'two', 'one']) {
    await world.record(t, upsert('a', `hash of ${text}`, { contentRef: text }));
    await world.drain(t);
    expect(await world.texts(t)).toEqual([text]);
  }
});

test('an upload that returns to what a batch is applying, while another waits, ends with what it returned to', async () => {
  const t = await tenant('upload');
  const send = (text: string) =>
    world.record(t, upsert('a', `hash of ${text}`, { contentRef: text }));
  await send('one');
  const held = await world.claim(t);
  for (const text of ['two', 'one']) await send(text);
  const writes = await world.intend(t, held.batchId, held.documents);
  world.apply(t, writes);
  await world.commit(t, held, writes);
  await world.drain(t);
  expect(await world.texts(t)).toEqual(['one']);
});

test('an upload that returns to an earlier content while another is on its way ends with what it returned to', async () => {
  const t = await tenant('upload');
  const send = (text: string) =>
    world.record(t, upsert('a', `hash of ${text}`, { contentRef: text }));
  await send('one');
  await world.drain(t);
  // The live one again, and one that waits itself.
  for (const texts of [
    ['two', 'one'],
    ['three', 'two', 'three'],
  ]) {
    for (const text of texts) await send(text);
    await world.drain(t);
    expect(await world.texts(t)).toEqual(texts.slice(-1));
  }
});
