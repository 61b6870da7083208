import { findWalPath, parseSegment, segmentOfLsn } from '../../src/domain/backup/wal-path.js';

/** Segment `number` of a timeline. */
const segment = (timeline: number, number: number): string =>
  [timeline, number >> 8, number & 255]
    .map((part) => part.toString(16).toUpperCase().padStart(8, '0'))
    .join('');
const segments = (timeline: number, from: number, to: number): string[] =>
  Array.from({ length: to - from + 1 }, (_, at) => segment(timeline, from + at));

/** A history: which timelines were left in which segment. */
const history = (...left: [timeline: number, number: number][]): string =>
  left
    .map(
      ([timeline, number]) =>
        `${timeline}\t${(number >> 8).toString(16).toUpperCase()}/${(((number & 255) << 24) | 0x28).toString(16).toUpperCase()}\tbefore 2026-01-31\n`,
    )
    .join('\n');

const lastWal = segment(1, 4);
const path = (names: string[], histories: [number, string][] = []) =>
  findWalPath({ lastWal, names, histories: new Map(histories) });

describe('the WAL that a restore reads', () => {
  it('goes from the end of the backup to the last archived segment, past the end of a log', () => {
    const names = [...segments(1, 2, 300), `${segment(1, 4)}.00000028.backup`];
    const found = path(names);
    expect(found).toMatchObject({ timeline: 1, end: segment(1, 300), gap: null });
    expect(found.segments).toEqual(segments(1, 5, 300));
    expect(found.segments[251]).toBe('000000010000000100000000');
  });

  it('ends with the backup where nothing is archived', () => {
    expect(path([])).toEqual({ timeline: 1, segments: [], end: lastWal, gap: null });
  });

  it('ends before a gap, and says what is missing and where it would go on', () => {
    const names = [...segments(1, 4, 6), ...segments(1, 9, 12)];
    expect(path(names)).toEqual({
      timeline: 1,
      segments: segments(1, 5, 6),
      end: segment(1, 6),
      gap: { missing: segment(1, 7), next: segment(1, 9) },
    });
    expect(path(segments(1, 6, 8)).gap).toEqual({ missing: segment(1, 5), next: segment(1, 6) });
  });

  it('follows the life after a restore, and passes over what was left behind', () => {
    const names = ['00000002.history', ...segments(1, 5, 20), ...segments(2, 8, 11)];
    const found = path(names, [[2, history([1, 8])]]);
    expect(found).toMatchObject({ timeline: 2, gap: null });
    expect(found.segments).toEqual([...segments(1, 5, 7), ...segments(2, 8, 11)]);
  });

  it('has a gap where the first segment of a later life is not archived, and goes not into the former one', () => {
    const found = path(segments(1, 5, 20), [[2, history([1, 8])]]);
    expect(found).toMatchObject({
      end: segment(1, 7),
      gap: { missing: segment(2, 8), next: null },
    });
  });

  it('goes over several restores, and not into one that left before the backup', () => {
    const names = [...segments(1, 5, 20), ...segments(2, 8, 11), ...segments(3, 10, 12)];
    const both: [number, string][] = [
      [2, history([1, 8])],
      [3, history([1, 8], [2, 10])],
    ];
    const expected = [...segments(1, 5, 7), ...segments(2, 8, 9), ...segments(3, 10, 12)];
    expect(path(names, both).segments).toEqual(expected);
    const foreign: [number, string] = [4, history([1, 2])];
    expect(path([...names, ...segments(4, 2, 3)], [...both, foreign])).toMatchObject({
      timeline: 3,
      segments: expected,
      gap: null,
    });
  });

  it('says that the history of a later timeline is missing', () => {
    expect(path([...segments(1, 5, 8), ...segments(2, 8, 9)])).toMatchObject({
      timeline: 1,
      end: segment(1, 8),
      gap: { missing: '00000002.history', next: segment(2, 8) },
    });
  });

  it('knows a position by its segment, and an end of one as its own', () => {
    expect(segmentOfLsn('0/3000028')).toBe(3);
    expect(segmentOfLsn('0/4000000')).toBe(3);
    expect(segmentOfLsn('2/1')).toBe(512);
    expect(segmentOfLsn('2/0')).toBe(511);
    expect(parseSegment(segment(3, 513))).toEqual({ timeline: 3, number: 513 });
    expect(parseSegment('00000002.history')).toBeUndefined();
  });
});
