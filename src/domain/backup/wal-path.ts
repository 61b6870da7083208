/** A segment of WAL: which one it is on its timeline. */
export interface Segment {
  timeline: number;
  number: number;
}

/** Size of a segment of the bundled server. */
const SEGMENT_BYTES = 16 * 1024 * 1024;
const SEGMENTS_PER_LOG = 2 ** 32 / SEGMENT_BYTES;

/** The segment that a file name is of; undefined for anything else that is archived. */
export function parseSegment(name: string): Segment | undefined {
  if (!/^[0-9A-F]{24}$/.test(name)) return undefined;
  const part = (at: number): number => Number.parseInt(name.slice(at, at + 8), 16);
  return { timeline: part(0), number: part(8) * SEGMENTS_PER_LOG + part(16) };
}

const hex = (value: number): string => value.toString(16).toUpperCase().padStart(8, '0');

const nameOf = ({ timeline, number }: Segment): string =>
  hex(timeline) + hex(Math.floor(number / SEGMENTS_PER_LOG)) + hex(number % SEGMENTS_PER_LOG);

/** Name of the file that says where a timeline comes from. */
const historyName = (timeline: number): string => `${hex(timeline)}.history`;

/** Number of the segment that ends with, or holds, a position such as `0/3000028`. */
export function segmentOfLsn(lsn: string): number {
  const [log = 0, offset = 0] = lsn.split('/').map((part) => Number.parseInt(part, 16));
  return Math.max(0, log * SEGMENTS_PER_LOG + Math.ceil(offset / SEGMENT_BYTES) - 1);
}

/** The timelines that one comes from, oldest first, each with the segment in which it was left. */
const parseHistory = (text: string): Segment[] =>
  [...text.matchAll(/^(\d+)\s+([0-9A-F]+)\/([0-9A-F]+)/gim)].map(([, timeline, log, offset]) => ({
    timeline: Number(timeline),
    number:
      Number.parseInt(log ?? '', 16) * SEGMENTS_PER_LOG +
      Math.floor(Number.parseInt(offset ?? '', 16) / SEGMENT_BYTES),
  }));

/** What is archived beside a base backup. */
interface Archive {
  /** The last segment that is in the base backup. */
  lastWal: string;
  /** Names of all archived files. */
  names: readonly string[];
  /** Content of the archived histories, by timeline. */
  histories: ReadonlyMap<number, string>;
}

/** The archived WAL that a restore of a base backup reads. */
export interface WalPath {
  /** The timeline that it follows: the newest that comes from the backup's own. */
  timeline: number;
  /** What it reads after the backup's own segments, in order, up to the end or the first gap. */
  segments: string[];
  /** The last segment of a restore. */
  end: string;
  /** What is missing behind the end although WAL goes on, and the next file that is there. */
  gap: { missing: string; next: string | null } | null;
}

/** The newest timeline that left the backup's own not before its end, with those between, or the backup's own. */
function followed(base: Segment, histories: Archive['histories']): { legs: Segment[]; to: number } {
  for (const [timeline, text] of [...histories].sort(([one], [other]) => other - one)) {
    const parents = parseHistory(text);
    const from = parents.findIndex(
      (parent) => parent.timeline === base.timeline && parent.number >= base.number,
    );
    if (from >= 0) return { legs: parents.slice(from), to: timeline };
  }
  return { legs: [], to: base.timeline };
}

/** Every segment from the end of the backup to the last that is archived on the way, there or not. */
function expectedSegments(
  base: Segment,
  { legs, to }: ReturnType<typeof followed>,
  archived: readonly Segment[],
): Segment[] {
  const expected: Segment[] = [];
  const add = (timeline: number, from: number, end: number): void => {
    for (let number = from; number < end; number++) expected.push({ timeline, number });
  };
  let from = base.number + 1;
  for (const leg of legs) {
    add(leg.timeline, from, leg.number);
    from = leg.number;
  }
  // A timeline begins with a copy of the segment in which it left the one before: that one is there at least.
  const least = legs.length === 0 ? from - 1 : from;
  const onLast = archived.filter(({ timeline }) => timeline === to);
  add(to, from, Math.max(least, ...onLast.map(({ number }) => number)) + 1);
  return expected;
}

/** What a restore of a base backup would read of an archive, and where it would end. */
export function findWalPath({ lastWal, names, histories }: Archive): WalPath {
  const base = parseSegment(lastWal);
  if (base === undefined) throw new Error(`${lastWal} is no segment of WAL`);
  const way = followed(base, histories);
  const archived = names.map(parseSegment).filter((one) => one !== undefined);
  const expected = expectedSegments(base, way, archived).map(nameOf);
  const there = new Set(names);
  const missingAt = expected.findIndex((name) => !there.has(name));
  const segments = missingAt < 0 ? expected : expected.slice(0, missingAt);
  const end = segments.at(-1) ?? lastWal;
  const found = { timeline: way.to, segments, end };
  const missing = expected[segments.length];
  if (missing !== undefined) {
    const next = expected.slice(segments.length).find((name) => there.has(name)) ?? null;
    return { ...found, gap: { missing, next } };
  }
  // Nobody can say where it comes from, so nothing can follow it.
  const stray = archived.find(({ timeline }) => timeline > way.to && !histories.has(timeline));
  if (stray === undefined) return { ...found, gap: null };
  return { ...found, gap: { missing: historyName(stray.timeline), next: nameOf(stray) } };
}
