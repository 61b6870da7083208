import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { createRetrieval } from '../../src/activities/retrieval/create-retrieval.js';
import { PlatformError } from '../../src/domain/errors.js';
import type { AccessFilter, VectorSink, VectorStore } from '../../src/domain/etl/vector-sink.js';
import type { Reader } from '../../src/domain/retrieval/principals.js';
import { accessOf, isPrincipalToken, readerOf } from '../../src/domain/retrieval/principals.js';
import { createMemoryStore } from '../etl/memory-store.js';
import { createMemoryCollection, data, hashEmbedder, live } from './memory-collection.js';

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');
const textsOf = (answer: { hits: { text: string }[] }) => answer.hits.map(({ text }) => text);
const codeOf = (promise: Promise<unknown>) =>
  promise.then(
    () => 'answered',
    (error: unknown) => (error instanceof PlatformError ? error.code : error),
  );

describe('who reads', () => {
  it('cannot be left out of a search, by type', () => {
    const sink = {} as VectorSink;
    const never = () => {
      // @ts-expect-error -- a search without a filter does not compile
      void sink.search({ leg: { text: 'x' }, k: 1 });
      const principals: [string] = ['public'];
      // @ts-expect-error -- a filter cannot be written by hand
      const filter: AccessFilter = { tenant: 't', principals, metadata: {} };
      // @ts-expect-error -- nor can a reader
      const reader: Reader = { tenant: 't', principals: ['public'], purpose: 'p' };
      // @ts-expect-error -- a reader has a purpose
      readerOf({ tenant: 't', subject: 's', groups: [] });
      return [filter, accessOf(reader)];
    };
    expect(never).toBeInstanceOf(Function);
  });

  it('is always the caller, its groups and the public', () => {
    const reader = readerOf({ tenant: 't', subject: 'ada', groups: ['b', 'a', 'a'], purpose: 'p' });
    expect(reader.principals).toEqual(['group:a', 'group:b', 'public', 'user:ada']);
    for (const wrong of [
      { tenant: '', subject: 'ada', groups: [], purpose: 'p' },
      { tenant: 't', subject: '', groups: [], purpose: 'p' },
      { tenant: 't', subject: 'ada', groups: ['x y'], purpose: 'p' },
      { tenant: 't', subject: 'ada', groups: [], purpose: '' },
    ])
      expect(() => readerOf(wrong)).toThrow(TypeError);
    expect(['public', 'user:a', 'group:b', 'all', 'user:', 'role:x'].map(isPrincipalToken)).toEqual(
      [...[true, true, true, false, false, false]],
    );
  });
});

describe('an answer', () => {
  it('cites pinned revisions and exact spans that hash to what they say', async () => {
    const { put, ask } = createMemoryCollection();
    await put('guide', 'Keys are rotated by the operator.\nBackups run every night.');
    const answer = await ask('rotate a key');
    expect(answer.hits[0]).toMatchObject({
      text: 'Keys are rotated by the operator.',
      citation: {
        ...{ revision: 1, start: 0, end: 33, unit: 'utf16', page: null },
        textSha256: sha256('Keys are rotated by the operator.'),
      },
    });
    expect(answer).toMatchObject({
      ...{ generationId: live.generationId, embedFp: live.embedFp },
      ...{ exhausted: false, degraded: false },
      freshness: { oldestUnappliedMs: 0, lastCompleteScanAt: null, stale: false },
    });
  });

  it('never holds a hidden, deleted, foreign or wrong-purpose row, though the store offers it', async () => {
    const { put, ask } = createMemoryCollection();
    await put('open', 'rotate the open key');
    await put('hidden', 'rotate the hidden key', { hidden: true });
    await put('deleted', 'rotate the deleted key', { deleted: true });
    await put('foreign', 'rotate the foreign key', { acl: ['group:board', 'user:prn_b'] });
    await put('denied', 'rotate the denied key', { deniedPurposes: ['support'] });
    for (const mode of ['hybrid', 'lexical', 'dense'] as const)
      expect(textsOf(await ask('rotate key', { mode }))).toEqual(['rotate the open key']);
    expect(textsOf(await ask('rotate key', { purpose: 'audit' })).sort()).toEqual([
      'rotate the denied key',
      'rotate the open key',
    ]);
    expect(await codeOf(ask('rotate key', { purpose: 'marketing' }))).toBe('PURPOSE_DENIED');
  });

  it('does not let hidden documents move the score of a visible one', async () => {
    const scores = async (hidden: boolean) => {
      const { put, ask } = createMemoryCollection();
      await put('a', 'rotate a key today');
      await put('b', 'a key opens a door');
      // Present in both worlds, so that the store's statistics are equal; readable in one.
      await put('best', 'rotate key', { hidden });
      return (await ask('rotate key')).hits.map(({ text, score }) => [text, score]);
    };
    expect((await scores(false))[0]).toEqual(['rotate key', 1]);
    expect((await scores(true))[0]?.[1]).toBe(1);
  });

  it('holds nothing of a revision that is not committed, or no longer live', async () => {
    const { put, ask } = createMemoryCollection();
    await put('doc', 'the old password rule');
    await put('doc', 'the new password rule', { commit: false });
    expect(textsOf(await ask('password rule'))).toEqual(['the old password rule']);
    await put('doc', 'the final password rule');
    expect(textsOf(await ask('password rule'))).toEqual(['the final password rule']);
  });

  it('shows every document at one revision, whatever commits, hides or erases meanwhile (G2)', async () => {
    const words = ['key', 'door', 'lamp', 'night'];
    const seen = new Set<number>();
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.constantFrom('commit', 'hide', 'erase', 'nothing'), { maxLength: 12 }),
        fc.array(fc.array(fc.constantFrom(...words), { minLength: 1, maxLength: 3 }), {
          minLength: 1,
          maxLength: 4,
        }),
        async (events, lines) => {
          let at = 0;
          const world = createMemoryCollection({
            step: () => {
              for (const document of world.documents.values()) {
                const event = events[at % Math.max(1, events.length)];
                const newer = document.liveRev + 1;
                if (event === 'commit' && document.revisions.has(newer)) document.liveRev = newer;
                if (event === 'hide') document.hidden = true;
                if (event === 'erase') {
                  const old = document.revisions.get(document.liveRev - 1);
                  if (old !== undefined) old.state = 'ERASED';
                }
                at++;
              }
            },
          });
          for (const name of ['one', 'two']) {
            for (const rev of [1, 2, 3]) {
              const text = lines.map((line) => `${line.join(' ')} r${rev}`).join('\n');
              await world.put(name, text, { commit: rev === 1 });
            }
          }
          const { hits } = await world.ask('key door lamp night', { k: 50 });
          const revisions = new Map<string, number>();
          for (const { text, citation } of hits) {
            const known = revisions.get(citation.documentId) ?? citation.revision;
            expect(citation.revision).toBe(known);
            revisions.set(citation.documentId, known);
            seen.add(known);
            expect(text.endsWith(`r${known}`)).toBe(true);
            expect(citation.textSha256).toBe(sha256(text));
            const revision = world.documents.get(citation.documentId)?.revisions.get(known);
            expect(revision?.text.slice(citation.start, citation.end)).toBe(text);
          }
        },
      ),
      { numRuns: 150 },
    );
    // The runs met answers at several revisions: what is proved above was there to be seen.
    expect(seen.size).toBeGreaterThan(1);
  });

  it('looks further where the filter took much, and says when it stopped looking', async () => {
    const { put, ask } = createMemoryCollection();
    const hiddenLines = (count: number) =>
      Array.from({ length: count }, () => 'rotate key').join('\n');
    await put('wall', hiddenLines(300), { hidden: true });
    await put('open', 'please rotate this very long winded key of the cellar');
    expect(await ask('rotate key', { k: 1, mode: 'lexical' })).toMatchObject({
      exhausted: false,
      hits: [{ text: 'please rotate this very long winded key of the cellar' }],
    });
    await put('higher wall', hiddenLines(1_000), { hidden: true });
    expect(await ask('rotate key', { k: 1, mode: 'lexical' })).toMatchObject({
      exhausted: true,
      hits: [],
    });
  }, 30_000);

  it('replaces a hit that was hidden after the read filter looked', async () => {
    let calls = 0;
    const world = createMemoryCollection({
      step: () => {
        // Two legs, then the filter; the fourth call reads the first span.
        if (++calls === 4)
          for (const [at, d] of [...world.documents.values()].entries()) d.hidden = at === 0;
      },
    });
    await world.put('best', 'rotate key');
    await world.put('second', 'rotate the key now');
    expect(textsOf(await world.ask('rotate key', { k: 1 }))).toEqual(['rotate the key now']);
  });

  it('narrows by metadata, passes the transform of its documents, and embeds nothing for a lexical search', async () => {
    const { put, ask, deps } = createMemoryCollection();
    await put('de', 'rotate key PERSON_1', { metadata: { lang: 'de' } });
    await put('en', 'rotate key', { metadata: { lang: 'en' } });
    expect(textsOf(await ask('key', { filter: { lang: 'en' } }))).toEqual(['rotate key']);
    expect(textsOf(await ask('Ada', { mode: 'lexical' }))).toEqual(['rotate key PERSON_1']);
    deps.embedderOf = () => Promise.reject(new Error('asked for an embedder'));
    expect(textsOf(await ask('key', { mode: 'lexical' }))).toHaveLength(2);
  });

  it('is lexical and says degraded where the embedder is away and the caller allows it', async () => {
    const { put, ask, deps } = createMemoryCollection();
    await put('a', 'rotate key');
    deps.embedderOf = () =>
      Promise.resolve({
        ...hashEmbedder,
        embed: () => Promise.reject(new PlatformError('EMBEDDER_RATE_LIMITED', 'later')),
      });
    expect(await codeOf(ask('key'))).toBe('EMBEDDER_UNAVAILABLE');
    expect(await codeOf(ask('key', { mode: 'dense', allowDegraded: true }))).toBe(
      'EMBEDDER_UNAVAILABLE',
    );
    expect(await ask('key', { allowDegraded: true })).toMatchObject({
      degraded: true,
      hits: [{ text: 'rotate key', score: 1, denseScore: null }],
    });
  });

  it('refuses an embedder that did not make the generation', async () => {
    const { put, ask, deps } = createMemoryCollection();
    await put('a', 'rotate key');
    deps.embedderOf = () => Promise.resolve({ ...hashEmbedder, embedFp: 'sha256:other' });
    expect(await codeOf(ask('key'))).toBe('EMBEDDER_MISCONFIGURED');
    expect(await codeOf(ask('key', { mode: 'dense', allowDegraded: true }))).toBe(
      'EMBEDDER_MISCONFIGURED',
    );
    expect(await ask('key', { allowDegraded: true })).toMatchObject({ degraded: true });
  });

  it('takes its tokens from the bucket of all, and waits for them no longer than an asker would', async () => {
    const { put, ask, deps } = createMemoryCollection();
    await put('a', 'rotate key');
    const leases: [string, number | undefined][] = [];
    deps.leaseRate = async ({ deadlineMs }, text) => {
      leases.push([text, deadlineMs]);
      if (leases.length > 1) throw new PlatformError('EMBEDDER_RATE_LIMITED', 'used up');
    };
    expect(await ask('key of Ada')).toMatchObject({ degraded: false });
    expect(leases).toEqual([['key of PERSON_1', 2_000]]);
    expect(await codeOf(ask('key'))).toBe('EMBEDDER_UNAVAILABLE');
    expect(await ask('key', { allowDegraded: true })).toMatchObject({ degraded: true });
    await ask('key', { mode: 'lexical' });
    expect(leases).toHaveLength(3);
  });

  it('is empty for a collection that nothing has come into yet, and never for a store that lost its rows', async () => {
    const gone = new PlatformError('SINK_REFUSED', 'The generation is not in the store.');
    const memory = createMemoryStore();
    const store: VectorStore = {
      ...memory,
      sink: (generation) => ({
        ...memory.sink(generation),
        search: () => Promise.reject(gone),
      }),
    };
    const collection = createMemoryCollection({ store });
    expect(await collection.ask('zebra')).toMatchObject({ hits: [], exhausted: false });
    await collection.put('a', 'a zebra');
    await expect(collection.ask('zebra')).rejects.toMatchObject({ code: 'SINK_REFUSED' });
  });

  it('waits for a change by refusing, and for a foreign collection there is nothing', async () => {
    const { put, ask, collection } = createMemoryCollection();
    await put('a', 'rotate key');
    expect(await codeOf(ask('key', { after: 'pending' }))).toBe('NOT_YET_INDEXED');
    expect(await codeOf(ask('key', { after: 'applied' }))).toBe('answered');
    expect(await codeOf(ask('key', {}, { ...data.reader, tenant: 'other' }))).toBe('NOT_FOUND');
    collection.live = undefined;
    expect(await codeOf(ask('key'))).toBe('NOT_YET_INDEXED');
  });

  it('reads as somebody else only for a delegate', async () => {
    const { put, ask } = createMemoryCollection();
    await put('board', 'rotate the board key', { acl: ['group:board'] });
    const onBehalfOf = { subject: 'prn_b', groups: ['board'] };
    expect(await codeOf(ask('key', { onBehalfOf }))).toBe('FORBIDDEN');
    const delegate = { ...data.reader, mayDelegate: true };
    expect(textsOf(await ask('key', { onBehalfOf }, delegate))).toEqual(['rotate the board key']);
    // A delegate reads as the other, not as both.
    await put('staff', 'rotate the staff key');
    expect(textsOf(await ask('key', { onBehalfOf }, delegate))).toEqual(['rotate the board key']);
  });
});

describe('verification of citations', () => {
  const verify = (world: ReturnType<typeof createMemoryCollection>, of: object) =>
    createRetrieval(world.deps).verify(data.reader, {
      purpose: data.purpose,
      citations: [of as never],
    });

  it('tells valid from superseded, erased and altered text, and says nothing about what may not be read', async () => {
    const world = createMemoryCollection();
    const document = await world.put('a', 'rotate key');
    const [hit] = (await world.ask('key')).hits;
    const citation = { ...hit?.citation };
    const verdict = async (of: object = citation) => {
      const [first] = (await verify(world, of)).verdicts;
      return `${first?.verdict} ${first?.checked ? 'checked' : 'unchecked'}`;
    };
    expect(await verdict()).toBe('VALID checked');
    expect(await verdict({ ...citation, end: 5 })).toBe('MISMATCH checked');
    expect(await verdict({ ...citation, end: 0 })).toBe('MISMATCH unchecked');
    expect(await verdict({ ...citation, textSha256: sha256('other') })).toBe('MISMATCH checked');
    await world.put('a', 'rotate key twice');
    expect(await verdict()).toBe('SUPERSEDED checked');
    const first = document.revisions.get(1) ?? { state: 'LIVE' };
    first.state = 'EXPIRED';
    expect(await verdict()).toBe('SUPERSEDED unchecked');
    first.state = 'ERASED';
    expect(await verdict()).toBe('ERASED unchecked');
    document.hidden = true;
    const hidden = await verdict();
    expect(hidden).toBe('MISMATCH unchecked');
    expect(await verdict({ ...citation, documentId: crypto.randomUUID() })).toBe(hidden);
  });
});
