import fc from 'fast-check';
import { ScanWorld } from './scan-world.js';

let world: ScanWorld;
let tenants = 0;
beforeAll(async () => {
  world = await ScanWorld.create();
});
afterAll(() => world.close());

const keys = ['a', 'b'] as const;
const step = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant('write'), key: fc.constantFrom(...keys) }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant('remove'), key: fc.constantFrom(...keys) }),
  },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('tell') }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('scan') }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('read') }) },
);
type Step = { kind: string; key?: string };

/** One folder with its watcher, a scan and the batches, each of which goes on when it is told to. */
class Interleaving {
  readonly tenant = `mixed-${++tenants}`;
  /** What the watcher has seen and not said yet, in order. */
  readonly seen: string[] = [];
  #scan: { scanId: string; pages: number } | undefined;
  #writes = 0;

  async run(one: Step): Promise<void> {
    const { tenant: t, seen } = this;
    const { key = '' } = one;
    if (one.kind === 'write') world.put(t, key, `text ${++this.#writes} of ${key}`);
    if (one.kind === 'remove') world.folder(t).delete(key);
    if (key !== '') seen.push(key);
    const next = one.kind === 'tell' ? seen.shift() : undefined;
    if (next !== undefined) await world.tell(t, next);
    if (one.kind === 'scan') await this.scan();
    if (one.kind === 'read') await world.settle(t);
  }

  /** Begin, first page, second page, apply. */
  async scan(): Promise<void> {
    const { tenant: t } = this;
    const scan = (this.#scan ??= { scanId: await world.begin(t), pages: 0 });
    scan.pages += 1;
    const half = (from: string, to: string) =>
      world.listing(t).filter(({ naturalKey }) => naturalKey >= from && naturalKey <= to);
    if (scan.pages === 2)
      await world.page(t, scan.scanId, { entries: half('a', 'a'), cursor: 'b' });
    if (scan.pages === 3) await world.page(t, scan.scanId, { entries: half('b', 'b') });
    if (scan.pages < 4) return;
    await world.applyScan(t, scan.scanId);
    this.#scan = undefined;
  }

  /** The watcher says all it has seen, the scan ends, everything is read. */
  async finish(): Promise<void> {
    while (this.seen.length > 0) await this.run({ kind: 'tell' });
    while (this.#scan !== undefined) await this.scan();
    await world.settle(this.tenant);
  }
}

test('live events and a full scan, in whatever order: the result is the folder, and another scan finds nothing', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 8, maxLength: 24 }), async (steps) => {
      const mixed = new Interleaving();
      const { tenant: t } = mixed;
      await world.seed(t);
      for (const key of keys) world.put(t, key, `first text of ${key}`);
      await world.scan(t);
      await world.settle(t);
      for (const one of steps) await mixed.run(one);
      await mixed.finish();
      const texts = [...world.folder(t).values()].map(({ text }) => text).sort();
      expect(await world.texts(t)).toEqual(texts);
      expect(world.sink(t).rows.size).toBe(texts.length);
      expect(await world.scan(t)).toMatchObject({ state: 'APPLIED', upserts: 0, deletes: 0 });
      expect(await world.settle(t)).toEqual([]);
    }),
    { numRuns: 40 },
  );
}, 300_000);
