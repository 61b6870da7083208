import fc from 'fast-check';
import type { ChangeRecord, ClaimedDocument } from '../../src/domain/etl/ledger.js';
import { createRelayStore } from '../../src/adapters/postgres/events.js';
import { quarantineReasons } from '../../src/domain/etl/gates.js';
import { aclHash } from '../../src/domain/etl/fingerprints.js';
import { building, LedgerWorld, live, only, push, sourceId } from './ledger-world.js';

let world: LedgerWorld;
let tenants = 0;
beforeAll(async () => {
  world = await LedgerWorld.create();
});
afterAll(() => world.close());

async function tenant(kind?: string): Promise<string> {
  const id = `etl-${++tenants}`;
  await world.seed(id, kind);
  return id;
}
const removal = (key: string, seq: number): ChangeRecord => ({
  ...push(key, seq, ''),
  kind: 'delete',
  priority: 2,
});
const next = <T>(stream: Iterator<T>): T => {
  const { value } = stream.next() as { value: T };
  return value;
};

test('[G3, W4] a deletion hides and a narrowed access holds in the transaction that records them', async () => {
  const t = await tenant();
  await world.record(t, push('a', 1, 'one'), push('b', 2, 'two'));
  await world.drain(t);
  expect(await world.texts(t)).toEqual(['one', 'two']);
  await world.record(t, removal('a', 3), {
    ...push('b', 4, ''),
    kind: 'acl',
    content: { name: 'b', acl: ['group:board'] },
  });
  expect(await world.texts(t)).toEqual([]);
  expect(await world.texts(t, { principals: ['group:board'] })).toEqual([]);
  await world.drain(t);
  expect(await world.texts(t)).toEqual([]);
  expect(await world.texts(t, { principals: ['group:board'] })).toEqual(['two']);
  expect(world.sink(t).rows.size).toBe(1);
});

test('[W4] what is recorded while a revision is on its way still holds after its commit', async () => {
  const t = await tenant();
  await world.record(t, push('a', 1, 'one'), push('b', 2, 'two'));
  const { batchId, documents } = await world.claim(t);
  const writes = await world.intend(t, batchId, documents);
  world.apply(t, writes);
  await world.record(t, removal('a', 3));
  await world.record(t, { ...push('b', 4, ''), kind: 'acl', content: { name: 'b', acl: [] } });
  expect(await world.commit(t, { batchId }, writes)).toHaveLength(2);
  expect(await world.texts(t)).toEqual([]);
});

test('[G2] a document is read at one revision, before, during and after its write', async () => {
  const t = await tenant();
  await world.record(t, push('a', 1, 'one\n\ntwo'));
  await world.drain(t);
  await world.record(t, push('a', 2, 'one\n\nthree\n\nfour'));
  const { batchId, documents } = await world.claim(t);
  const writes = await world.intend(t, batchId, documents);
  const write = only(writes);
  expect(write.adds.map(({ embedText }) => embedText)).toEqual([
    'Title\nPath\nthree',
    'Title\nPath\nfour',
  ]);
  world.sink(t).add(write);
  expect(await world.texts(t)).toEqual(['one|two']);
  world.sink(t).remove(write);
  await world.commit(t, { batchId }, writes);
  const hits = await world.read(t);
  expect(hits.map(({ rev, start, end }) => [rev, start, end])).toEqual([
    [2, 0, 3],
    [2, 5, 10],
    [2, 12, 16],
  ]);
  const { docId } = write;
  const old = { docId, rev: 1, start: 5, end: 8 };
  const current = { docId, rev: 2, start: 5, end: 10, chunkAt: 2 };
  const reader = { principals: ['group:staff'], purpose: 'support' };
  expect(await world.reads.readSpans(t, { ...reader, spans: [current, old] })).toEqual([
    { text: 'three', title: 'Title', headingPath: ['Path'], current: true },
    { text: 'two', title: 'Title', headingPath: [], current: false },
  ]);
  const elsewhere = { ...reader, purpose: 'marketing', spans: [current] };
  expect(await world.reads.readSpans(t, elsewhere)).toEqual([{ refused: 'NOT_FOUND' }]);
});

test('text that is no longer kept is gone with a reason: expired or erased', async () => {
  const t = await tenant();
  await world.record(t, push('a', 1, 'one'));
  await world.drain(t);
  await world.record(t, push('a', 2, 'two'));
  await world.drain(t);
  const { docId } = only(await world.read(t));
  const reader = { principals: ['group:staff'], purpose: 'support' };
  const read = async (by = reader) =>
    only(await world.reads.readSpans(t, { ...by, spans: [{ docId, rev: 1, start: 0, end: 3 }] }));
  expect(await read()).toMatchObject({ text: 'one' });
  const set = (what: string) =>
    world.database.asSuperuser(
      `update etl_revision set ${what} where tenant_id = $1 and doc_id = $2 and rev = 1`,
      [t, docId],
    );
  await set('text_enc = null, head_enc = null, blocks_enc = null');
  expect(await read()).toEqual({ refused: 'REVISION_EXPIRED' });
  await set(`state = 'ERASED'`);
  expect(await read()).toEqual({ refused: 'REVISION_ERASED' });
  expect(await read({ ...reader, principals: ['group:none'] })).toEqual({ refused: 'NOT_FOUND' });
});

test('a writer whose fence is stale records, commits and quarantines nothing', async () => {
  const t = await tenant();
  await world.record(t, push('a', 1, 'one'));
  const first = await world.claim(t);
  const stale = only(first.documents);
  const writes = await world.intend(t, first.batchId, first.documents);
  world.apply(t, writes);
  await world.database.asSuperuser(
    `update etl_document set claim_until = now() - interval '1 second' where tenant_id = $1`,
    [t],
  );
  const second = await world.claim(t);
  expect(only(second.documents).fence).toBeGreaterThan(stale.fence);
  expect(only(second.documents)).toMatchObject({ inDoubt: true, prepared: false });
  expect(await world.commit(t, { batchId: first.batchId }, writes)).toEqual([]);
  await world.ledger.quarantine(t, first.batchId, [
    { docId: stale.docId, fence: stale.fence, stage: 'x', reason: 'x', hides: true, evidence: {} },
  ]);
  expect(await world.intend(t, first.batchId, first.documents)).toEqual([]);
  expect(await world.texts(t)).toEqual([]);
  const again = await world.intend(t, second.batchId, second.documents);
  expect(again.map(({ rev, addRowIds }) => ({ rev, addRowIds }))).toEqual(
    writes.map(({ rev, addRowIds }) => ({ rev, addRowIds })),
  );
  world.apply(t, again);
  expect(await world.commit(t, { batchId: second.batchId }, again)).toHaveLength(1);
  expect(await world.texts(t)).toEqual(['one']);
});

test('[W1, W2] an edit after a crash replaces all that was in doubt, and a late writer disturbs nobody', async () => {
  const t = await tenant();
  await world.record(t, push('a', 1, 'one\n\ntwo'));
  await world.drain(t);
  await world.record(t, push('a', 2, 'two\n\nthree'));
  const lost = await world.claim(t);
  const doubtful = await world.intend(t, lost.batchId, lost.documents);
  world.apply(t, doubtful);
  await world.record(t, push('a', 3, 'one\n\ntwo\n\nfour'));
  await world.database.asSuperuser(
    `update etl_document set claim_until = now() - interval '1 second' where tenant_id = $1`,
    [t],
  );
  await world.drain(t);
  expect(await world.texts(t)).toEqual(['one|two|four']);
  world.apply(t, doubtful);
  expect(await world.texts(t)).toEqual(['one|two|four']);
  const kept = (await world.read(t)).map(({ rowId }) => rowId);
  expect(kept.filter((row) => world.sink(t).listedForDeletion.has(row))).toEqual([]);
});

test('a settlement as unchanged is refused while a later revision is in doubt', async () => {
  const t = await tenant();
  await world.record(t, push('a', 1, 'one'));
  await world.drain(t);
  await world.record(t, push('a', 2, 'two'));
  const lost = await world.claim(t);
  world.apply(t, await world.intend(t, lost.batchId, lost.documents));
  await world.record(t, push('a', 3, 'one'));
  await world.database.asSuperuser(
    `update etl_document set claim_until = now() - interval '1 second' where tenant_id = $1`,
    [t],
  );
  const { batchId, documents } = await world.claim(t);
  const { docId, fence, inDoubt } = only(documents);
  expect(inDoubt).toBe(true);
  const settled = [{ docId, fence, sourceToken: 'v3' }];
  expect(await world.ledger.settleUnchanged(t, batchId, settled)).toEqual([]);
  const writes = await world.intend(t, batchId, documents);
  world.apply(t, writes);
  await world.commit(t, { batchId }, writes);
  expect(await world.texts(t)).toEqual(['one']);
});

test('[W5] a generation that is not live blocks nobody and catches up afterwards', async () => {
  const t = await tenant();
  await world.addGeneration(t, building, 'BUILDING');
  await world.record(t, push('a', 1, 'one'), push('b', 2, 'two'));
  const { batchId, documents } = await world.claim(t);
  const writes = await world.intend(t, batchId, documents);
  expect(writes).toHaveLength(4);
  const toLive = writes.filter(({ generationId }) => generationId === live);
  world.apply(t, toLive);
  expect(await world.commit(t, { batchId, generationIds: [building] }, writes)).toEqual([]);
  expect(await world.commit(t, { batchId, generationIds: [live] }, writes)).toHaveLength(2);
  expect(await world.texts(t)).toEqual(['one', 'two']);
  expect(await world.texts(t, { generationId: building })).toEqual([]);
  const lagging = { tenant: t, generationId: building, batchId: 'bat_lag', maxDocuments: 512 };
  expect(await world.ledger.claimLagging(lagging)).toEqual({ claimed: 2 });
  const late = await world.ledger.openWrites(t, 'bat_lag');
  world.apply(t, late);
  expect(await world.commit(t, { batchId: 'bat_lag' }, late)).toHaveLength(2);
  expect(await world.texts(t, { generationId: building })).toEqual(['one', 'two']);
  expect(await world.ledger.claimLagging({ ...lagging, batchId: 'bat_3' })).toEqual({ claimed: 0 });
});

test('a redelivery collapses and a lower seq is superseded, also when it is a deletion', async () => {
  const t = await tenant();
  expect(await world.record(t, push('a', 5, 'five'))).toMatchObject({ recorded: 1 });
  const again = await world.record(t, push('a', 5, 'five'));
  expect(again.recorded).toBe(0);
  expect(await world.ledger.isApplied(t, again.changeToken)).toBe(false);
  await world.drain(t);
  expect(await world.ledger.isApplied(t, again.changeToken)).toBe(true);
  await world.record(t, push('a', 4, 'four'), removal('a', 3));
  expect(await world.texts(t)).toEqual(['five']);
  expect((await world.claim(t)).documents).toEqual([]);
  const states = await world.database.asSuperuser(
    `select state from etl_change_event where tenant_id = $1 order by seq`,
    [t],
  );
  expect(states.map(({ state }) => state)).toEqual(['SUPERSEDED', 'SUPERSEDED', 'APPLIED']);
});

test('[G5] order, repetition and size of batches do not change the result', async () => {
  const change = fc.record({
    key: fc.constantFrom('a', 'b', 'c'),
    text: fc.option(fc.array(fc.constantFrom('p', 'q', 'r', 's'), { minLength: 1, maxLength: 4 })),
  });
  const run = fc.record({
    changes: fc.array(change, { minLength: 1, maxLength: 8 }),
    order: fc.infiniteStream(fc.nat()),
    sizes: fc.infiniteStream(fc.integer({ min: 1, max: 4 })),
  });
  await fc.assert(
    fc.asyncProperty(run, async ({ changes, order, sizes }) => {
      const t = await tenant();
      const events = changes.map(({ key, text }, at) =>
        text === null ? removal(key, at + 1) : push(key, at + 1, text.join('\n\n')),
      );
      const expected = new Map<string, string>();
      changes.forEach(({ key, text }) =>
        text === null ? expected.delete(key) : expected.set(key, text.join('|')),
      );
      const shuffled = [...events, ...events]
        .map((event) => ({ event, at: next(order) }))
        .sort((x, y) => x.at - y.at)
        .map(({ event }) => event);
      while (shuffled.length > 0) {
        await world.record(t, ...shuffled.splice(0, next(sizes)));
        if (next(sizes) > 2) await world.drain(t, next(sizes));
      }
      await world.drain(t, next(sizes));
      expect(await world.texts(t)).toEqual([...expected.values()].sort());
      expect(world.sink(t).rows.size).toBe((await world.read(t)).length);
    }),
    { numRuns: 25 },
  );
});

test('[W3] whatever a store yields, late, twice, too much or with an old access, readers see the ledger and no more', async () => {
  const step = fc.record({
    key: fc.constantFrom('a', 'b', 'c'),
    what: fc.constantFrom('text', 'text', 'text', 'acl', 'delete', 'crash'),
    words: fc.array(fc.constantFrom('p', 'q', 'r', 's'), { minLength: 1, maxLength: 4 }),
    board: fc.boolean(),
  });
  const run = fc.record({
    steps: fc.array(step, { minLength: 1, maxLength: 10 }),
    yields: fc.infiniteStream(fc.boolean()),
  });
  await fc.assert(
    fc.asyncProperty(run, async ({ steps, yields }) => {
      const t = await tenant();
      const truth = new Map<string, { text: string; acl: string[] }>();
      const everyRow = new Map<string, { docId: string; text: string }>();
      const keep = () => world.sink(t).rows.forEach((row, id) => everyRow.set(id, row));
      for (const [at, { key, what, words, board }] of steps.entries()) {
        const acl = [board ? 'group:board' : 'group:staff'];
        const known = truth.get(key);
        if (what === 'delete') {
          await world.record(t, removal(key, at + 1));
          truth.delete(key);
        } else if (what === 'acl') {
          if (known === undefined) continue;
          const content = { name: key, acl };
          await world.record(t, { ...push(key, at + 1, ''), kind: 'acl', content });
          truth.set(key, { ...known, acl });
        } else {
          const contentRef = words.join('\n\n');
          await world.record(t, push(key, at + 1, { contentRef, content: { name: key, acl } }));
          truth.set(key, { text: words.join('|'), acl });
        }
        if (what === 'crash') {
          const lost = await world.claim(t);
          world.apply(t, await world.intend(t, lost.batchId, lost.documents));
          await world.database.asSuperuser(
            `update etl_document set claim_until = now() - interval '1 second' where tenant_id = $1 and claim_batch is not null`,
            [t],
          );
        } else await world.drain(t);
        keep();
      }
      await world.drain(t);
      keep();
      const sink = world.sink(t);
      const committed = new Map(sink.rows);
      const seenBy = (principal: string, other: string) =>
        world.texts(t, { principals: [principal, other] });
      const allowed = (principal: string) =>
        [...truth.values()].filter(({ acl }) => acl.includes(principal)).map(({ text }) => text);
      // Every row that was ever written is a candidate for everybody: a store without deletes and with no access at all.
      everyRow.forEach((row, id) => sink.rows.set(id, row));
      expect(await seenBy('group:staff', 'group:none')).toEqual(allowed('group:staff').sort());
      expect(await seenBy('group:board', 'group:none')).toEqual(allowed('group:board').sort());
      // A store that has not caught up yields less, never something else.
      for (const id of [...sink.rows.keys()]) if (next(yields)) sink.rows.delete(id);
      const spans = (await world.read(t)).map(({ rowId }) => rowId);
      expect(spans.filter((id) => !committed.has(id))).toEqual([]);
      expect(await world.read(t, { principals: ['group:none'] })).toEqual([]);
    }),
    { numRuns: 20 },
  );
}, 60_000);

test('claims go by priority, repeat within a batch, and five lost ones are poison', async () => {
  const t = await tenant();
  await world.record(
    t,
    push('slow', 1, { contentRef: 'one', priority: 5 }),
    push('fast', 2, 'two'),
  );
  const { batchId, documents } = await world.claim(t, 1);
  expect(only(documents).naturalKey).toBe('fast');
  const repeated = await world.claim(t, 512, batchId);
  expect(repeated.documents.map(({ naturalKey }) => naturalKey)).toEqual(['fast']);
  const lapse = () =>
    world.database.asSuperuser(
      `update etl_document set claim_until = now() - interval '1 second' where tenant_id = $1 and claim_batch is not null`,
      [t],
    );
  let claimed: ClaimedDocument[] = [];
  for (let lost = 0; lost < 5; lost++) {
    await lapse();
    claimed = (await world.claim(t)).documents;
  }
  expect(claimed.map(({ naturalKey }) => naturalKey)).toEqual(['slow']);
  const items = await world.database.asSuperuser(
    `select stage, reason, state from etl_quarantine_item where tenant_id = $1`,
    [t],
  );
  expect(items).toEqual([{ stage: 'gate', reason: 'poison', state: 'OPEN' }]);
  // It is counted like every other reason, under the labels that its series begins with.
  expect(world.quarantined).toEqual([{ stage: quarantineReasons.poison.stage, reason: 'poison' }]);
});

test('a document that a gate of access stops is hidden until a later revision passes', async () => {
  const t = await tenant();
  await world.record(t, push('a', 1, 'one'));
  await world.drain(t);
  await world.record(t, push('a', 2, 'two'));
  const { batchId, documents } = await world.claim(t);
  const { docId, fence } = only(documents);
  const facts = { stage: 'scrub', reason: 'residual_pii', hides: true, evidence: { chunk: 0 } };
  await world.ledger.quarantine(t, batchId, [{ docId, fence, ...facts }]);
  expect(await world.texts(t)).toEqual([]);
  await world.record(t, push('a', 3, 'three'));
  await world.drain(t);
  expect(await world.texts(t)).toEqual(['three']);
});

test('changes wake the watcher once until it has looked, by a signal that starts it', async () => {
  const t = await tenant();
  await world.record(t, push('a', 1, 'one'));
  await world.record(t, push('a', 2, 'two'));
  const relay = createRelayStore(world.database.relay);
  const wakes = (await relay.claimWakes(1_000)).filter((wake) => wake.tenant === t);
  expect(wakes.map(({ wake }) => wake.start?.workflowId)).toEqual([`etl/${t}/${sourceId}`]);
  expect(await world.ledger.backlog(t, sourceId)).toMatchObject({
    ...{ pending: 2, held: 0, urgency: 3 },
  });
  await world.record(t, { ...push('b', 1, 'one'), priority: 2 });
  expect(await world.ledger.backlog(t, sourceId)).toMatchObject({ pending: 3, urgency: 2 });
  expect((await relay.claimWakes(1_000)).filter((wake) => wake.tenant === t)).toHaveLength(1);
  await world.record(t, push('a', 3, 'three'));
  expect((await relay.claimWakes(1_000)).filter((wake) => wake.tenant === t)).toHaveLength(1);
});

test('access alone changes no row and leaves the copies of the store to be patched', async () => {
  const t = await tenant();
  await world.record(t, push('a', 1, 'one'));
  await world.drain(t);
  const acl = ['group:staff', 'group:board'];
  await world.record(t, { ...push('a', 2, ''), kind: 'acl', content: { name: 'a', acl } });
  await world.drain(t);
  expect(await world.texts(t, { principals: ['group:board'] })).toEqual(['one']);
  const copy = only(await world.ledger.copiesBehind(t, live, 10));
  expect(copy).toMatchObject({ acl, aclHash: aclHash({ acl, deniedPurposes: [] }) });
  await world.ledger.markCopies(t, live, [copy]);
  expect(await world.ledger.copiesBehind(t, live, 10)).toEqual([]);
});
