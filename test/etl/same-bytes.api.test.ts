import { settleTouched } from '../../src/activities/etl/settle-touched.js';
import type { PullSource } from '../../src/domain/etl/scan.js';
import type { SourceFacts } from '../../src/domain/etl/ledger.js';
import { sourceId } from './ledger-world.js';
import { guard, pii, ScanWorld } from './scan-world.js';
import { plainScrubber } from './plain-scrubber.js';

let world: ScanWorld;
beforeAll(async () => {
  world = await ScanWorld.create();
});
afterAll(() => world.close());

/** The listing of a tenant's folder as its page is kept, and what was read for it. */
async function list(tenant: string): Promise<string[]> {
  const read: string[] = [];
  const reader: PullSource = {
    list: () => Promise.reject(new Error('listed already')),
    read: async (_source, key) => {
      read.push(key);
      const file = world.folder(tenant).get(key);
      return file && { name: key, token: file.token, bytes: new TextEncoder().encode(file.text) };
    },
  };
  const source = (await world.ledger.findSource(tenant, sourceId)) as SourceFacts;
  const scrubber = async () => ({ ...plainScrubber, ...world.pii });
  const of = { tenant, source, reader, signal: new AbortController().signal };
  await settleTouched(
    { ledger: world.ledger, scrubber, chunkTokens: guard },
    of,
    world.listing(tenant),
  );
  return read.sort();
}

test('a file that was touched and says what it said becomes no change; one that says something else does', async () => {
  const t = 'touched';
  await world.seed(t);
  for (const key of ['a', 'b', 'c', 'd']) world.put(t, key, `text of ${key}`);
  expect(await list(t)).toEqual([]);
  await world.scan(t);
  await world.settle(t);
  expect(await list(t)).toEqual([]);
  for (const key of ['a', 'b', 'd'])
    world.put(t, key, key === 'b' ? 'other text' : `text of ${key}`);
  // Something waits for it already: it goes the long way, whatever it says.
  await world.tell(t, 'd');
  expect(await list(t)).toEqual(['a', 'b', 'd']);
  await world.scan(t);
  expect(await world.settle(t)).toEqual(['b', 'd']);
  expect(await list(t)).toEqual([]);
  const rows = await world.database.asSuperuser(
    `select source_token from etl_document where tenant_id = $1 order by source_token`,
    [t],
  );
  expect(rows.map((row) => row.source_token)).toEqual(
    [...world.folder(t).values()].map(({ token }) => token).sort(),
  );
});

test('another pipeline or a held document is no reason to be quick', async () => {
  const t = 'careful';
  await world.seed(t);
  world.put(t, 'a', 'text of a');
  await world.scan(t);
  await world.settle(t);
  world.put(t, 'a', 'text of a');
  world.pii = { ...pii, policyVersion: 'policy-2' };
  await list(t);
  const token = async () =>
    (
      await world.database.asSuperuser(
        `select source_token from etl_document where tenant_id = $1`,
        [t],
      )
    )[0]?.source_token;
  expect(await token()).not.toBe(world.folder(t).get('a')?.token);
  world.pii = pii;
  await world.database.asSuperuser(
    `update etl_document set claim_batch = 'bat_x', claim_until = now() + interval '1 hour' where tenant_id = $1`,
    [t],
  );
  expect(await list(t)).toEqual([]);
  await world.database.asSuperuser(
    `update etl_document set claim_batch = null, claim_until = null where tenant_id = $1`,
    [t],
  );
  expect(await list(t)).toEqual(['a']);
  expect(await token()).toBe(world.folder(t).get('a')?.token);
});
