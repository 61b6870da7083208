import fc from 'fast-check';
import { createBm25 } from '../../src/domain/retrieval/bm25.js';
import { fitAlpha, fusedNdcg, type JudgedLegs } from '../../src/domain/retrieval/fit-alpha.js';
import { defaultAlpha, fuse, rrfAllowed } from '../../src/domain/retrieval/fuse.js';
import { ndcg, rankDocuments, recall } from '../../src/domain/retrieval/ndcg.js';
import { pairedBootstrap } from '../../src/domain/retrieval/paired-bootstrap.js';

const ids = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'];
const leg = fc
  .uniqueArray(fc.constantFrom(...ids), { maxLength: 8 })
  .chain((found) =>
    fc
      .array(fc.integer({ min: 0, max: 40 }), { minLength: found.length, maxLength: found.length })
      .map((scores) =>
        found
          .map((id, at) => ({ id, score: (scores[at] ?? 0) / 4 }))
          .sort((x, y) => y.score - x.score || (x.id < y.id ? -1 : 1)),
      ),
  );
const legs = fc.record({ lexical: leg, dense: leg });
const weighted = (alpha: number) => ({ kind: 'weighted', alpha }) as const;

describe('fusion', () => {
  it('keeps every candidate of either leg once, scores within [0, 1], whatever the weight', () => {
    fc.assert(
      fc.property(legs, fc.double({ min: 0, max: 1, noNaN: true }), (found, alpha) => {
        const fused = fuse(found, weighted(alpha));
        const named = new Set([...found.lexical, ...found.dense].map(({ id }) => id));
        expect(fused.map(({ id }) => id).sort()).toEqual([...named].sort());
        for (const { score } of fused) {
          expect(score).toBeGreaterThanOrEqual(0);
          expect(score).toBeLessThanOrEqual(1 + 1e-12);
        }
      }),
    );
  });

  it('does not depend on the order in which legs name their candidates, nor on scale and origin of a leg', () => {
    fc.assert(
      fc.property(legs, fc.integer({ min: 1, max: 64 }), (found, scale) => {
        const order = (of: typeof found) => fuse(of, weighted(0.5)).map(({ id }) => id);
        const reversed = { lexical: found.lexical.toReversed(), dense: found.dense.toReversed() };
        const dense = found.dense.map(({ id, score }) => ({ id, score: score * scale - 3 }));
        expect(order(reversed)).toEqual(order(found));
        // A power of two changes no rounding; other scales may break a tie by a last bit.
        if (Number.isInteger(Math.log2(scale)))
          expect(order({ ...found, dense })).toEqual(order(found));
      }),
    );
  });

  it('counts 1 where a leg has equal scores, 0 where it has none, and breaks ties by lexical score, then id', () => {
    const equal = [
      { id: 'b', score: 2 },
      { id: 'a', score: 2 },
    ];
    expect(fuse({ lexical: equal, dense: [] }, weighted(0.9))).toEqual([
      { id: 'a', score: 0.9, lexical: 2, dense: undefined },
      { id: 'b', score: 0.9, lexical: 2, dense: undefined },
    ]);
    const tied = { lexical: [{ id: 'z', score: 1 }], dense: [{ id: 'a', score: 1 }] };
    expect(fuse(tied, weighted(0.5)).map(({ id }) => id)).toEqual(['z', 'a']);
  });

  it('adds reciprocal ranks with k = 60', () => {
    const found = {
      lexical: [
        { id: 'a', score: 9 },
        { id: 'b', score: 1 },
      ],
      dense: [{ id: 'b', score: 0.3 }],
    };
    expect(fuse(found, { kind: 'rrf' }).map(({ id, score }) => [id, score])).toEqual([
      ['b', 1 / 62 + 1 / 61],
      ['a', 1 / 61],
    ]);
  });

  it('weighs the lexical leg 0.9 for weak embedders and refuses RRF where the dense leg is below BM25', () => {
    expect(['hash-384', 'lsa', 'openai'].map(defaultAlpha)).toEqual([0.9, 0.9, 0.5]);
    expect(rrfAllowed({ lexical: 0.7, dense: 0.43 })).toBe(false);
    expect(rrfAllowed({ lexical: 0.7, dense: 0.7 })).toBe(true);
  });
});

describe('the fitted weight', () => {
  const judged = fc.record({
    legs,
    judgements: fc.constantFrom(...ids).map((id) => new Map([[id, 1]])),
    documentOf: fc.constant((id: string) => id),
  });

  it('is the best of the grid on the fitting queries', () => {
    fc.assert(
      fc.property(fc.array(judged, { minLength: 20, maxLength: 24 }), (queries) => {
        const fitted = fitAlpha(queries);
        const means = Array.from({ length: 21 }, (_, step) => {
          const values = queries.map((query) => fusedNdcg(query, step / 20) ?? 0);
          return values.reduce((sum, value) => sum + value, 0) / values.length;
        });
        expect(fitted?.ndcg).toBe(Math.max(...means));
        expect(means[(fitted?.alphaBp ?? -1) / 500]).toBe(fitted?.ndcg);
      }),
      { numRuns: 40 },
    );
  });

  it('finds the leg that knows, and needs 20 judged queries', () => {
    const queries = Array.from({ length: 20 }, (): JudgedLegs => ({
      legs: {
        lexical: [
          { id: 'wrong', score: 9 },
          { id: 'right', score: 8.9 },
          { id: 'other', score: 1 },
        ],
        dense: [
          { id: 'right', score: 0.9 },
          { id: 'wrong', score: 0.1 },
        ],
      },
      judgements: new Map([['right', 1]]),
      documentOf: (id) => id,
    }));
    expect(fitAlpha(queries)).toMatchObject({ alphaBp: 9_500, ndcg: 1, queries: 20 });
    expect(fitAlpha(queries)?.lexicalNdcg).toBeCloseTo(1 / Math.log2(3), 12);
    expect(fitAlpha(queries.slice(1))).toBeUndefined();
  });
});

describe('nDCG and recall', () => {
  it('has the value that the definition gives by hand', () => {
    const judgements = new Map([
      ['a', 3],
      ['b', 2],
      ['c', 0],
    ]);
    const ideal = 3 + 2 / Math.log2(3);
    expect(ndcg(['x', 'b', 'a'], judgements)).toBeCloseTo((2 / Math.log2(3) + 3 / 2) / ideal, 12);
    expect(ndcg(['a', 'b'], judgements)).toBe(1);
    expect(ndcg(['x', 'a'], judgements, 1)).toBe(0);
    expect(ndcg(['a'], new Map([['a', 0]]))).toBeUndefined();
    expect(recall(['x', 'b'], judgements)).toBe(0.5);
    expect(recall(['x', 'b'], judgements, 1)).toBe(0);
  });

  it('is between 0 and 1, 1 for an ideal order, and never falls when a better document moves up', () => {
    const gains = fc.array(fc.integer({ min: 0, max: 3 }), { minLength: 2, maxLength: 15 });
    fc.assert(
      fc.property(gains, fc.nat(), (all, swap) => {
        fc.pre(all.some((gain) => gain > 0));
        const judgements = new Map(all.map((gain, at) => [`d${at}`, gain]));
        const ranked = [...judgements.keys()];
        const value = ndcg(ranked, judgements) ?? Number.NaN;
        expect(value).toBeGreaterThanOrEqual(0);
        expect(value).toBeLessThanOrEqual(1);
        const ideal = ranked.toSorted(
          (a, b) => (judgements.get(b) ?? 0) - (judgements.get(a) ?? 0),
        );
        expect(ndcg(ideal, judgements)).toBe(1);
        const at = swap % (ranked.length - 1);
        const upper = judgements.get(`d${at}`) ?? 0;
        const lower = judgements.get(`d${at + 1}`) ?? 0;
        const swapped = ranked.with(at, `d${at + 1}`).with(at + 1, `d${at}`);
        if (lower > upper) expect(ndcg(swapped, judgements)).toBeGreaterThanOrEqual(value);
      }),
    );
  });

  it('scores a document by its best chunk, ties by document id', () => {
    expect(
      rankDocuments([
        { docId: 'b', score: 0.2 },
        { docId: 'c', score: 0.5 },
        { docId: 'b', score: 0.5 },
        { docId: 'a', score: 0.1 },
      ]),
    ).toEqual(['b', 'c', 'a']);
  });
});

describe('the paired bootstrap', () => {
  const flat = (length: number, value: number) => Array.from({ length }, () => value);
  const alternating = (length: number) =>
    Array.from({ length }, (_, at) => (at % 2 === 0 ? 0.3 : 0));

  it('passes what is not worse, fails what is worse, and leaves the rest open', () => {
    const baseline = flat(200, 0.5);
    const of = (candidate: number[]) => pairedBootstrap(candidate, baseline, { seed: 1 });
    expect(of(baseline)).toMatchObject({
      verdict: 'PASS',
      difference: 0,
      low: 0,
      high: 0,
      better: false,
    });
    expect(of(flat(200, 0.6))).toMatchObject({ verdict: 'PASS', better: true });
    expect(of(flat(200, 0.48))).toMatchObject({ verdict: 'FAIL', better: false });
    const noisy = baseline.map((value, at) => value + (at % 2 === 0 ? 0.2 : -0.2));
    expect(of(noisy).verdict).toBe('INCONCLUSIVE');
  });

  it('decides nothing below 50 queries', () => {
    expect(pairedBootstrap(flat(49, 1), flat(49, 0), { seed: 1 })).toMatchObject({
      verdict: 'INCONCLUSIVE',
      better: false,
      difference: 1,
    });
    expect(pairedBootstrap(flat(50, 1), flat(50, 0), { seed: 1 }).verdict).toBe('PASS');
    expect(pairedBootstrap([], [], { seed: 1 }).verdict).toBe('INCONCLUSIVE');
  });

  it('answers the same for the same seed, and its interval is that of the central limit theorem', () => {
    const candidate = alternating(400);
    const compared = pairedBootstrap(candidate, flat(400, 0), { seed: 9 });
    expect(pairedBootstrap(candidate, flat(400, 0), { seed: 9 })).toEqual(compared);
    const halfWidth = 1.96 * (0.15 / Math.sqrt(400));
    expect(compared.low).toBeCloseTo(0.15 - halfWidth, 2);
    expect(compared.high).toBeCloseTo(0.15 + halfWidth, 2);
  });

  it('refuses sides of different length', () => {
    expect(() => pairedBootstrap([1], [], { seed: 1 })).toThrow(TypeError);
  });
});

describe('BM25', () => {
  it('has the score that the formula gives by hand', () => {
    const index = createBm25([
      { id: 'one', text: 'durable workflows workflow' },
      { id: 'two', text: 'vectors' },
    ]);
    const idf = Math.log(1 + 1.5 / 1.5);
    const norm = 0.9 * (0.6 + (0.4 * 3) / 2);
    expect(index.search('the workflow', 10)).toEqual([
      { id: 'one', score: (idf * 2) / (2 + norm) },
    ]);
  });

  it('orders by score, ties by id, and leaves out what shares no word', () => {
    const index = createBm25([
      { id: 'b', text: 'alpha beta' },
      { id: 'a', text: 'alpha beta' },
      { id: 'c', text: 'alpha' },
      { id: 'd', text: 'gamma' },
    ]);
    expect(index.search('alpha', 10).map(({ id }) => id)).toEqual(['c', 'a', 'b']);
    expect(index.search('alpha', 1).map(({ id }) => id)).toEqual(['c']);
    expect(index.search('…', 10)).toEqual([]);
  });
});
