import type { ChangeRecord } from '../../src/domain/etl/ledger.js';
import { LedgerWorld, only, push, sourceId } from './ledger-world.js';

let world: LedgerWorld;
let tenants = 0;
beforeAll(async () => {
  world = await LedgerWorld.create();
});
afterAll(() => world.close());

const removal: ChangeRecord = { ...push('a', 3, ''), kind: 'delete', priority: 2 };

test.each([
  ['a newer edit', push('a', 3, 'three'), ['three']],
  ['a deletion', removal, []],
])(
  '[W1] a batch that is tried again after its claims lapsed applies %s, not what it prepared before',
  async (_, newer, texts) => {
    const t = `retried-${++tenants}`;
    await world.seed(t);
    await world.record(t, push('a', 1, 'one'));
    await world.drain(t);
    await world.record(t, push('a', 2, 'two'));
    const { batchId, documents } = await world.claim(t);
    world.apply(t, await world.intend(t, batchId, documents));
    expect(only((await world.claim(t, 512, batchId)).documents)).toMatchObject({ prepared: true });
    await world.record(t, newer);
    await world.database.asSuperuser(
      `update etl_document set claim_until = now() - interval '1 second' where tenant_id = $1`,
      [t],
    );
    // Another batch of the source frees what lapsed and finds no room for it.
    await world.claim(t, 0);
    const again = await world.claim(t, 512, batchId);
    expect(only(again.documents)).toMatchObject({ prepared: false, inDoubt: true });
    const writes = await world.intend(t, batchId, again.documents);
    world.apply(t, writes);
    await world.commit(t, { batchId }, writes);
    expect(await world.texts(t)).toEqual(texts);
  },
);

const freed = (tenant: string) =>
  world.database.asSuperuser(
    `update etl_document set claim_batch = null, claim_until = null where tenant_id = $1`,
    [tenant],
  );

test('a change of a document that somebody holds is not due; who holds it is told where it is a batch', async () => {
  const t = `held-${++tenants}`;
  await world.seed(t);
  for (const key of ['a', 'b']) await world.record(t, push(key, 1, 'one'));
  const { batchId } = await world.claim(t, 1);
  await world.record(t, push('a', 2, 'two'));
  const backlog = () => world.ledger.backlog(t, sourceId);
  expect(await backlog()).toMatchObject({ pending: 1, held: 2, holders: [batchId] });
  // What has lapsed is due again, and so is what waited for it.
  await world.database.asSuperuser(
    `update etl_document set claim_until = now() - interval '1 second' where tenant_id = $1`,
    [t],
  );
  expect(await backlog()).toMatchObject({ pending: 3, held: 0, holders: [] });
  await world.drain(t);
  expect(await backlog()).toMatchObject({ pending: 0, held: 0, holders: [] });
  // Something that is no batch, as a comparison with the store, holds the document for itself.
  await world.record(t, push('a', 3, 'three'));
  await world.database.asSuperuser(
    `update etl_document set claim_batch = 'rcn_1', claim_until = now() + interval '1 minute' where tenant_id = $1`,
    [t],
  );
  expect(await backlog()).toMatchObject({ pending: 0, held: 1, holders: [] });
  await freed(t);
  expect(await backlog()).toMatchObject({ pending: 1, held: 0 });
});

test('a batch that had ended when a worker claimed for it finishes what it holds when it is run again', async () => {
  const t = `late-${++tenants}`;
  await world.seed(t);
  const { batchId } = await world.claim(t);
  await world.record(t, push('a', 1, 'one'));
  // The worker stood still until now.
  const late = await world.claim(t, 512, batchId);
  const again = await world.claim(t, 512, batchId);
  const [stale, mine] = [only(late.documents), only(again.documents)];
  expect(mine.fence).toBeGreaterThan(stale.fence);
  const writes = await world.intend(t, batchId, again.documents);
  world.apply(t, writes);
  await world.commit(t, { batchId }, writes);
  expect(await world.texts(t)).toEqual(['one']);
});
