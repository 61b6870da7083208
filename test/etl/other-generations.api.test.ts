import { MockActivityEnvironment } from '@temporalio/testing';
import fc from 'fast-check';
import { createEtlActivities, type EtlDeps } from '../../src/activities/etl/index.js';
import { createEtlGenerations } from '../../src/adapters/postgres/etl-generations.js';
import { PlatformError } from '../../src/domain/errors.js';
import { hash384Dims } from '../../src/domain/etl/hash-384.js';
import type { GenerationFacts } from '../../src/domain/etl/ledger.js';
import type { SinkRow, VectorSink } from '../../src/domain/etl/vector-sink.js';
import { building, callerOf, collectionId, live, sourceId, upsert } from './ledger-world.js';
import { createMemoryStore } from './memory-store.js';
import { WritePathWorld } from './write-path-world.js';

const faults = ['none', 'unknown', 'away', 'frozen', 'embedder', 'vectors'] as const;
type Fault = (typeof faults)[number];

/** Two generations over stores in memory; the one that is not live meets faults. */
class TwoGenerations extends WritePathWorld {
  fault: Fault = 'none';
  readonly #store = createMemoryStore();

  static override async create(): Promise<TwoGenerations> {
    const { database } = await WritePathWorld.create();
    return new TwoGenerations(database);
  }

  #plain(tenant: string, generationId: string): VectorSink {
    return this.#store.sink({ tenant, generationId, embedFp: 'sha256:0', dims: hash384Dims });
  }

  async #sink(tenant: string, generationId: string): Promise<VectorSink> {
    const sink = this.#plain(tenant, generationId);
    if (generationId === live) return sink;
    if (this.fault === 'unknown')
      throw new PlatformError('SINK_UNKNOWN', 'The store is not configured.');
    const refuse = async () => {
      throw new PlatformError('SINK_UNAVAILABLE', 'The store is down.');
    };
    if (this.fault === 'away')
      return { ...sink, replaceRows: refuse, patchAccess: refuse, fetch: refuse };
    return this.fault === 'frozen' ? { ...sink, patchAccess: refuse } : sink;
  }

  override deps(): EtlDeps {
    const deps = super.deps();
    return {
      ...deps,
      sink: (tenant, { generationId }: GenerationFacts) => this.#sink(tenant, generationId),
      embedder: async (tenant, generation) => {
        const embedder = await deps.embedder(tenant, generation);
        if (generation.state === 'LIVE') return embedder;
        if (this.fault === 'embedder')
          throw new PlatformError('EMBEDDER_MISCONFIGURED', 'There is no key.');
        const nothing = async (texts: readonly string[]) =>
          texts.map(() => new Float32Array(hash384Dims).fill(NaN));
        return this.fault === 'vectors' ? { ...embedder, embed: nothing } : embedder;
      },
    };
  }

  async stored(tenant: string, generationId: string): Promise<SinkRow[]> {
    const sink = this.#plain(tenant, generationId);
    const ids: string[] = [];
    for await (const { rowId } of sink.scanIds({ index: 0, of: 1 })) ids.push(rowId);
    return sink.fetch(ids);
  }

  /** Documents as a reader with this token finds them, with the access that the store has of them. */
  async found(tenant: string, generationId: string, principal: string) {
    const rows = new Map((await this.stored(tenant, generationId)).map((row) => [row.rowId, row]));
    const hits = await this.reads.readFilter(tenant, {
      ...{ generationId, principals: [principal], purpose: 'support' },
      rowIds: [...rows.keys()],
      docIds: [...rows.values()].map(({ docId }) => docId),
    });
    const byDocument = new Map<string, string[]>();
    for (const { docId, rowId } of hits.sort((a, b) => a.start - b.start)) {
      const { text = '', acl = [] } = rows.get(rowId) ?? {};
      const span = `${text.split('\n').at(-1) ?? ''} (${acl.join(' ')})`;
      byDocument.set(docId, [...(byDocument.get(docId) ?? []), span]);
    }
    return [...byDocument.values()].map((spans) => spans.join('|')).sort();
  }

  /** What `reembedCollection` does: slices from stored text until none is behind. */
  async catchUp(tenant: string, generationId: string): Promise<void> {
    const { embedAndWriteBatch } = createEtlActivities(this.deps());
    for (let slice = 1; ; slice++) {
      const batchId = `bat_slice_${slice}`;
      const claim = { tenant, generationId, batchId, maxDocuments: 2 };
      const { claimed } = await this.ledger.claimLagging(claim);
      const input = { tenant, sourceId, batchId };
      await new MockActivityEnvironment().run(embedAndWriteBatch, input);
      if (claimed === 0) return;
    }
  }
}

let world: TwoGenerations;
let tenants = 0;
beforeAll(async () => {
  world = await TwoGenerations.create();
});
afterAll(() => world.close());

const about = (topic: string): string =>
  `Everything that the handbook says about ${topic}, told in one paragraph of its own, at some length and with care.`;

async function seeded(state: string): Promise<string> {
  const t = `other-${++tenants}`;
  world.fault = 'none';
  await world.seed(t);
  await world.addGeneration(t, building, state);
  return t;
}

const access = (t: string, key: string, { acl, version }: { acl: string[]; version: string }) =>
  world.record(t, { ...upsert(key, version), kind: 'acl', content: { name: key, acl } });

it.each(['away', 'unknown'] as const)(
  '[W5] a change of access is in effect although the store of a held generation is %s, and follows there later',
  async (fault) => {
    const t = await seeded('HOLDING');
    await world.put(t, { 'a.txt': about('teams') }, { acl: ['group:staff'] });
    await world.run(t);
    world.fault = fault;
    await access(t, 'a.txt', { version: 'wide', acl: ['group:board', 'group:staff'] });
    await world.run(t);
    const found = [`${about('teams')} (group:board group:staff)`];
    expect(await world.found(t, live, 'group:board')).toEqual(found);
    expect(await world.stored(t, building)).toMatchObject([{ acl: ['group:staff'] }]);
    world.fault = 'none';
    await world.run(t);
    expect(await world.found(t, building, 'group:board')).toEqual(found);
  },
);

const step = fc.record({
  key: fc.constantFrom('a.txt', 'b.txt'),
  what: fc.constantFrom('text', 'text', 'acl', 'acl', 'delete'),
  topics: fc.uniqueArray(fc.constantFrom('teams', 'rooms', 'bells'), { minLength: 1 }),
  board: fc.boolean(),
  // As often none: a generation that never took anything has no copies to follow.
  fault: fc.oneof(fc.constant('none' as const), fc.constantFrom(...faults)),
  state: fc.constantFrom('BUILDING', 'HOLDING'),
});

test('[W5] whatever a generation that is not live meets, the live one takes every change, and a flip waits until the other has', async () => {
  const { flipGeneration, laggingDocuments } = createEtlGenerations({ db: world.database.worker });
  const play = async (
    steps: readonly (typeof step extends fc.Arbitrary<infer T> ? T : never)[],
  ) => {
    const t = await seeded('BUILDING');
    const truth = new Map<string, { text: string; acl: string }>();
    const expected = (principal: string) =>
      [...truth.values()]
        .filter(({ acl }) => acl === principal)
        .map(({ text, acl }) => text.replaceAll('\n\n', ` (${acl})|`) + ` (${acl})`)
        .sort();
    const check = async (generationId: string) => {
      for (const principal of ['group:staff', 'group:board'])
        expect(await world.found(t, generationId, principal)).toEqual(expected(principal));
    };
    for (const [at, { key, what, topics, board, fault, state }] of steps.entries()) {
      const acl = board ? 'group:board' : 'group:staff';
      const known = truth.get(key);
      world.fault = fault;
      await world.rows(
        t,
        `update etl_generation set state = '${state}' where tenant_id = $tenant and generation_id = '${building}'`,
      );
      if (what === 'text') {
        const text = topics.map(about).join('\n\n');
        await world.put(t, { [key]: text }, { acl: [acl] });
        truth.set(key, { text, acl });
      } else if (what === 'acl' && known !== undefined) {
        await access(t, key, { version: `acl ${at}`, acl: [acl] });
        truth.set(key, { ...known, acl });
      } else if (what === 'delete') {
        await world.record(t, { ...upsert(key, `gone ${at}`), kind: 'delete', priority: 2 });
        truth.delete(key);
      }
      await world.run(t);
      expect(await world.ledger.backlog(t, sourceId)).toMatchObject({ pending: 0, held: 0 });
      await check(live);
    }
    world.fault = 'none';
    const flip = { collectionId, generationId: building, epoch: 0, holdMs: 1_000 };
    if ((await laggingDocuments(t, building)) > 0)
      await expect(flipGeneration(callerOf(t), flip)).rejects.toMatchObject({
        code: 'GENERATION_BUILDING',
      });
    await world.catchUp(t, building);
    expect(await laggingDocuments(t, building)).toBe(0);
    await check(live);
    await check(building);
    await world.rows(
      t,
      `update etl_generation set state = 'BUILDING' where tenant_id = $tenant and generation_id = '${building}'`,
    );
    expect(await flipGeneration(callerOf(t), flip)).toEqual({ epoch: 1 });
  };
  await fc.assert(fc.asyncProperty(fc.array(step, { minLength: 2, maxLength: 8 }), play), {
    numRuns: 20,
  });
}, 120_000);
