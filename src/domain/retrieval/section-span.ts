/** A chunk as a revision lists it: its place in UTF-16 units, its page (0 where there are none) and its headings. */
export interface PlacedChunk {
  start: number;
  end: number;
  page: number;
  headingPath: readonly string[];
}

/** The part of a revision that a section spans. */
export interface SectionSpan {
  start: number;
  end: number;
  /** Page of its first chunk; 0 where there are none. */
  page: number;
  /** False where the section goes on beyond the span. */
  whole: boolean;
}

/** Longest text that a hit is widened to, in UTF-16 units. */
export const MAX_SECTION_CHARS = 8_000;

const isUnder = (path: readonly string[], chunk: PlacedChunk | undefined): boolean =>
  chunk?.headingPath.length === path.length &&
  path.every((part, at) => part === chunk.headingPath[at]);

/**
 * The section around a chunk: what stands beside it without a gap in the list, under the same headings. Grows by whole
 * chunks, after the hit and before it in turn, while the span is at most `maxChars`; the chunk itself is always in it.
 * `chunkAt` is its place from 1. Undefined where the revision has no such chunk.
 */
export function sectionSpan(
  chunks: readonly PlacedChunk[],
  chunkAt: number,
  maxChars: number,
): SectionSpan | undefined {
  const hit = chunks[chunkAt - 1];
  if (hit === undefined) return undefined;
  const under = (at: number): PlacedChunk | undefined =>
    isUnder(hit.headingPath, chunks[at]) ? chunks[at] : undefined;
  let [first, last] = [chunkAt - 1, chunkAt - 1];
  let { start, end, page } = hit;
  for (let grew = true; grew;) {
    grew = false;
    const after = under(last + 1);
    if (after !== undefined && after.end - start <= maxChars) {
      ({ end } = after);
      last += 1;
      grew = true;
    }
    const before = under(first - 1);
    if (before !== undefined && end - before.start <= maxChars) {
      ({ start, page } = before);
      first -= 1;
      grew = true;
    }
  }
  return {
    start,
    end,
    page,
    whole: under(first - 1) === undefined && under(last + 1) === undefined,
  };
}
