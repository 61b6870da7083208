import type { ChangeRecord } from '../../src/domain/etl/ledger.js';
import { LedgerWorld, only, push } from './ledger-world.js';

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
