import fc from 'fast-check';
import type { ClaimedDocument, OpenWrite } from '../../src/domain/etl/ledger.js';
import { aclHash } from '../../src/domain/etl/fingerprints.js';
import { LedgerWorld, push } from './ledger-world.js';

let world: LedgerWorld;
let tenants = 0;
beforeAll(async () => {
  world = await LedgerWorld.create();
});
afterAll(() => world.close());

const readers = ['group:staff', 'group:board'];
const keyOf = fc.constantFrom('a', 'b');
const aclOf = fc.subarray(readers, { minLength: 1 });
const step = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({ what: fc.constant('text' as const), key: keyOf, acl: aclOf }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ what: fc.constant('acl' as const), key: keyOf, acl: aclOf }),
  },
  { weight: 2, arbitrary: fc.record({ what: fc.constant('delete' as const), key: keyOf }) },
  { weight: 8, arbitrary: fc.record({ what: fc.constant('advance' as const) }) },
  { weight: 1, arbitrary: fc.record({ what: fc.constant('crash' as const) }) },
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

/** One batch on its way: claimed, then intended, then applied to the store, then committed. */
class Flight {
  #at: { batchId: string; documents: ClaimedDocument[] } | undefined;
  #writes: OpenWrite[] | undefined;
  #isApplied = false;
  readonly #tenant: string;

  constructor(tenant: string) {
    this.#tenant = tenant;
  }

  async advance(): Promise<void> {
    const t = this.#tenant;
    const at = this.#at;
    if (at === undefined) {
      const claim = await world.claim(t, 1);
      if (claim.documents.length > 0) this.#at = claim;
    } else if (this.#writes === undefined) {
      const access = at.documents.filter(({ change }) => change.kind === 'acl');
      const settled = access.map(({ docId, fence, change }) => {
        const acl = change.content?.acl ?? [];
        return { docId, fence, acl, aclHash: aclHash({ acl, deniedPurposes: [] }) };
      });
      await world.ledger.settleAccess(t, at.batchId, settled);
      this.#writes = await world.intend(t, at.batchId, at.documents);
    } else if (!this.#isApplied) {
      world.apply(t, this.#writes);
      this.#isApplied = true;
    } else {
      await world.commit(t, { batchId: at.batchId }, this.#writes);
      this.#forget();
    }
  }

  /** Whoever carried the batch is gone; its claims end by themselves. */
  async crash(): Promise<void> {
    this.#forget();
    await world.database.asSuperuser(
      `update etl_document set claim_until = now() - interval '1 second' where tenant_id = $1 and claim_batch is not null`,
      [this.#tenant],
    );
  }

  #forget(): void {
    this.#at = undefined;
    this.#writes = undefined;
    this.#isApplied = false;
  }
}

test('[W4] whenever a deletion or a narrowed access is recorded, between claim, intent, store and commit, it holds at once and stays', async () => {
  const play = async (steps: readonly Step[]): Promise<void> => {
    const t = `held-${++tenants}`;
    await world.seed(t);
    const flight = new Flight(t);
    /** What the source says now: texts since the last deletion, the newest last, and who may read them. */
    const truth = new Map<string, { texts: string[]; acl: readonly string[] }>();
    const visibleTo = (reader: string) => world.texts(t, { principals: [reader] });
    const mayRead = (reader: string) =>
      [...truth.values()].filter(({ acl }) => acl.includes(reader));
    for (const [at, one] of steps.entries()) {
      if (one.what === 'advance') await flight.advance();
      else if (one.what === 'crash') await flight.crash();
      else if (one.what === 'delete') {
        await world.record(t, { ...push(one.key, at + 1, ''), kind: 'delete', priority: 2 });
        truth.delete(one.key);
      } else {
        const { key, what, acl } = one;
        const known = truth.get(key);
        if (what === 'acl' && known === undefined) continue;
        const text = `${key} ${at}`;
        const content = { name: key, acl };
        const change = push(key, at + 1, { contentRef: text, content });
        await world.record(
          t,
          what === 'acl' ? { ...push(key, at + 1, { content }), kind: what } : change,
        );
        const texts = known?.texts ?? [];
        truth.set(key, { texts: what === 'acl' ? texts : [...texts, text], acl });
      }
      for (const reader of readers) {
        const allowed = mayRead(reader).flatMap(({ texts }) => texts);
        expect(allowed).toEqual(expect.arrayContaining(await visibleTo(reader)));
      }
    }
    await flight.crash();
    await world.drain(t);
    for (const reader of readers)
      expect(await visibleTo(reader)).toEqual(
        mayRead(reader)
          .flatMap(({ texts }) => texts.slice(-1))
          .sort(),
      );
  };
  const plays = fc.array(step, { minLength: 4, maxLength: 18 }).filter(
    // Five lost claims are poison: another guarantee.
    (steps) => steps.filter(({ what }) => what === 'crash').length < 4,
  );
  await fc.assert(fc.asyncProperty(plays, play), { numRuns: 25, interruptAfterTimeLimit: 100_000 });
}, 120_000);
