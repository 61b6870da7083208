import { createEvalSet } from '../../src/activities/retrieval/create-eval-set.js';
import { measureFacts } from '../../src/activities/retrieval/measure-retrieval.js';
import { probeRecall } from '../../src/activities/retrieval/probe-recall.js';
import { PlatformError } from '../../src/domain/errors.js';
import { hash384 } from '../../src/domain/etl/hash-384.js';
import type { Hit } from '../../src/domain/etl/vector-sink.js';
import type { NewEvalSet } from '../../src/domain/retrieval/evaluation-contract.js';
import { accessOf, readerOf } from '../../src/domain/retrieval/principals.js';
import { createMemoryCollection, data, live } from './memory-collection.js';

const caller = {
  tenant: data.tenant,
  actor: { subject: 'prn_a', kind: 'person' as const, roles: [], via: 'test' },
};
const plan = {
  ...{ purpose: data.purpose, epsilon: 0.01, seed: 1, subject: 'prn_a', groups: ['staff'] },
};

describe('an evaluation of a generation', () => {
  const measured = async (groups: string[]) => {
    const world = createMemoryCollection();
    const queries = [];
    for (let at = 0; at < 80; at++) {
      const { docId } = await world.put(`doc ${at}`, `topic${at} explained`);
      queries.push({
        queryId: `q${at}`,
        split: at < 20 ? ('fit' as const) : ('report' as const),
        text: `topic${at}`,
        judgements: [{ docId, gain: 1 }],
      });
    }
    const beats: number[] = [];
    const result = await measureFacts(
      world.deps,
      {
        ...{ collectionId: live.collectionId, candidate: live, baseline: undefined, queries },
        plan: { ...plan, groups },
      },
      {
        tenant: data.tenant,
        alive: (count) => beats.push(count),
        signal: new AbortController().signal,
      },
    );
    return { ...result, beats };
  };

  it('fits on one half, judges on the other, and passes what is as good as its lexical leg', async () => {
    const { report, rows, beats } = await measured(['staff']);
    expect(report).toMatchObject({
      ...{ fitQueries: 20, reportQueries: 60 },
      candidate: { ndcgAt10: 1, recallAt50: 1, fitted: true },
      comparison: { verdict: 'PASS', queries: 60, difference: 0 },
    });
    expect(rows).toHaveLength(80);
    expect(beats).toHaveLength(80);
  });

  it('measures what its requester may read and nothing else', async () => {
    const { report } = await measured(['nobody']);
    expect(report.candidate).toMatchObject({ ndcgAt10: 0, recallAt50: 0 });
  });
});

describe('an evaluation set', () => {
  const world = createMemoryCollection();
  const saved: NewEvalSet[] = [];
  const create = createEvalSet({
    findSearched: world.deps.findSearched,
    scrubQuery: world.deps.scrubQuery,
    sealQuery: ({ rowId }, text) => Promise.resolve(Buffer.from(`${rowId}|${text}`)),
    newEvalSetId: () => 'evs_1',
    saveEvalSet: (_caller, set) => {
      saved.push(set);
      return Promise.resolve({} as never);
    },
  });
  const request = (count: number) => ({
    collectionId: live.collectionId as never,
    name: 'questions',
    queries: Array.from({ length: count }, (_, at) => ({
      ...{ id: String(at), text: `Ada asks ${at}` },
      judgements: [{ documentId: crypto.randomUUID() as never, gain: 1 }],
    })),
  });

  it('keeps scrubbed texts, sealed under their own row, and both halves', async () => {
    await create(caller, request(40));
    const set = saved.at(-1);
    expect(Buffer.from(set?.queries[3]?.textEnc ?? []).toString()).toBe('evs_1/3|PERSON_1 asks 3');
    expect(new Set(set?.queries.map(({ split }) => split))).toEqual(new Set(['fit', 'report']));
    expect(set?.digest).toMatch(/^sha256:[0-9a-f]{64}$/);
  });

  it('is refused below 20 queries, with the minimum', async () => {
    const refused = create(caller, request(19)).catch((error: unknown) => error);
    expect(await refused).toBeInstanceOf(PlatformError);
    expect(await refused).toMatchObject({ code: 'SET_TOO_SMALL', extensions: { minimum: 20 } });
  });
});

describe('the recall probe', () => {
  const filter = accessOf(readerOf({ tenant: 't', subject: 'a', groups: [], purpose: 'p' }));
  const hits = (count: number): Hit[] =>
    Array.from({ length: count }, (_, at) => ({
      rowId: `r${at}`,
      docId: 'd',
      score: 1 - at / 100,
    }));
  const vector = hash384('key') ?? new Float32Array(384);
  const probe = (approximate: number, exact: number, asked = 3) =>
    probeRecall(
      { search: (query) => Promise.resolve(hits(query.exact ? exact : approximate)) },
      { vectors: Array.from({ length: asked }, () => vector), filter },
    );

  it('says how much of the exact answer the index finds, and when that is too little', async () => {
    expect(await probe(10, 10)).toEqual({ recallBp: 10_000, asked: 3, low: false });
    expect(await probe(9, 10)).toEqual({ recallBp: 9_000, asked: 3, low: true });
  });

  it('asks at most 200 vectors and says nothing where nothing is stored', async () => {
    expect((await probe(10, 10, 250))?.asked).toBe(200);
    expect(await probe(0, 0)).toBeUndefined();
  });
});
