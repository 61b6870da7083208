import fc from 'fast-check';
import { sectionSpan, type PlacedChunk } from '../../src/domain/retrieval/section-span.js';

/** Chunks one after another, two characters of white space between them. */
function chunksOf(...of: [length: number, path: string, page?: number][]): PlacedChunk[] {
  let at = 0;
  return of.map(([length, path, page = 0]) => {
    const start = at;
    at += length + 2;
    return { start, end: start + length, page, headingPath: path.split('/') };
  });
}

describe('the section around a chunk', () => {
  it('is what stands beside it under the same headings, and nothing of another section', () => {
    const chunks = chunksOf([10, 'A'], [20, 'A/B'], [30, 'A/B'], [40, 'A/B'], [50, 'A/C']);
    const section = { start: 12, end: 106, page: 0, whole: true };
    for (const at of [2, 3, 4]) expect(sectionSpan(chunks, at, 8_000)).toEqual(section);
    expect(sectionSpan(chunks, 1, 8_000)).toMatchObject({ start: 0, end: 10, whole: true });
    expect(sectionSpan(chunks, 5, 8_000)).toMatchObject({ start: 108, end: 158, whole: true });
  });

  it('ends where other headings come between, though the same ones come again', () => {
    const chunks = chunksOf([10, 'A'], [10, 'B'], [10, 'A'], [10, 'A/B']);
    expect(sectionSpan(chunks, 1, 8_000)).toMatchObject({ start: 0, end: 10 });
    expect(sectionSpan(chunks, 3, 8_000)).toMatchObject({ start: 24, end: 34 });
  });

  it('is the whole text where there are no headings', () => {
    expect(sectionSpan(chunksOf([10, ''], [10, ''], [10, '']), 2, 8_000)).toMatchObject({
      ...{ start: 0, end: 34, whole: true },
    });
  });

  it('is cut between chunks, holds the hit, and says that it goes on', () => {
    const chunks = chunksOf([10, 'A'], [10, 'A'], [10, 'A'], [10, 'A'], [10, 'A']);
    expect(sectionSpan(chunks, 3, 34)).toEqual({ start: 12, end: 46, page: 0, whole: false });
    expect(sectionSpan(chunks, 3, 33)).toEqual({ start: 24, end: 46, page: 0, whole: false });
    expect(sectionSpan(chunks, 1, 22)).toEqual({ start: 0, end: 22, page: 0, whole: false });
    // What is longer than allowed by itself stays what it is.
    expect(sectionSpan(chunks, 5, 4)).toEqual({ start: 48, end: 58, page: 0, whole: false });
  });

  it('begins on the page of its first chunk', () => {
    const chunks = chunksOf([10, 'A', 4], [10, 'A', 4], [10, 'A', 5]);
    expect(sectionSpan(chunks, 3, 8_000)).toMatchObject({ page: 4 });
    expect(sectionSpan(chunks, 3, 22)).toMatchObject({ page: 4, start: 12 });
    expect(sectionSpan(chunks, 3, 10)).toMatchObject({ page: 5 });
  });

  it('is none where the revision has no such chunk', () => {
    const chunks = chunksOf([10, 'A']);
    expect([0, 2].map((at) => sectionSpan(chunks, at, 8_000))).toEqual([undefined, undefined]);
  });

  it('holds of any list: within bounds, whole chunks of one path without a gap, and no room left unused', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.integer({ min: 1, max: 60 }), fc.constantFrom('A', 'B', 'A/C')), {
          minLength: 1,
          maxLength: 20,
        }),
        fc.nat(),
        fc.integer({ min: 1, max: 200 }),
        (of, seed, maxChars) => {
          const chunks = chunksOf(...of);
          const at = seed % chunks.length;
          const span = sectionSpan(chunks, at + 1, maxChars);
          const hit = chunks[at];
          if (span === undefined || hit === undefined) throw new Error('no section');
          const first = chunks.findIndex(({ start }) => start === span.start);
          const last = chunks.findIndex(({ end }) => end === span.end);
          expect(first >= 0 && first <= at && last >= at).toBe(true);
          const inside = chunks.slice(first, last + 1);
          expect(new Set(inside.map(({ headingPath }) => headingPath.join('/'))).size).toBe(1);
          if (inside.length > 1) expect(span.end - span.start).toBeLessThanOrEqual(maxChars);
          const beside = [chunks[first - 1], chunks[last + 1]].filter(
            (one) => one?.headingPath.join('/') === hit.headingPath.join('/'),
          );
          expect(span.whole).toBe(beside.length === 0);
          for (const one of beside) {
            const [start, end] = [one?.start ?? 0, one?.end ?? 0];
            const wider = Math.max(end, span.end) - Math.min(start, span.start);
            expect(wider).toBeGreaterThan(maxChars);
          }
        },
      ),
    );
  });
});
