import { parseSegment, type Segment } from './wal-path.js';

/** What a backup folder shows; times in milliseconds since the epoch. */
export interface BackupFolderFacts {
  /** When the oldest and the newest finished backup began; undefined where there is none. */
  oldestAtMs: number | undefined;
  newestAtMs: number | undefined;
  /** When one of its backups was last restored; undefined where none ever was. */
  restoredAtMs: number | undefined;
  /** Names of the archived WAL files, sorted. */
  walNames: readonly string[];
}

/** How the backups of an installation stand; milliseconds since the epoch, -Infinity where nobody can say since when. */
export interface BackupHealth {
  /** When the newest finished backup began. */
  backedUpAtMs: number;
  /** When a backup was last restored, or the oldest one began where none ever was. */
  rehearsedAtMs: number;
  /** Since when the oldest complete segment of WAL is missing; undefined where none is. */
  unshippedSinceMs: number | undefined;
}

/** What is known of backups that nobody can read. */
export const unreadableBackups: BackupHealth = {
  backedUpAtMs: -Infinity,
  rehearsedAtMs: -Infinity,
  unshippedSinceMs: -Infinity,
};

/** How old the backups of a folder are, and since when they are unrehearsed. A restore counts while there is a backup. */
export const judgeBackups = ({
  oldestAtMs,
  newestAtMs,
  restoredAtMs,
}: Pick<BackupFolderFacts, 'oldestAtMs' | 'newestAtMs' | 'restoredAtMs'>): Omit<
  BackupHealth,
  'unshippedSinceMs'
> => ({
  backedUpAtMs: newestAtMs ?? -Infinity,
  rehearsedAtMs: oldestAtMs === undefined ? -Infinity : (restoredAtMs ?? oldestAtMs),
});

/** A segment that Postgres was first seen to write at a time; every one before it was complete then. */
export interface SeenSegment extends Segment {
  /** Milliseconds since the epoch. */
  atMs: number;
}

/** One look at what Postgres writes and what is archived. */
interface ShippingLook {
  /** Name of the segment that Postgres writes. */
  current: string;
  /** Names of the archived WAL files, sorted. */
  walNames: readonly string[];
  nowMs: number;
}

/**
 * Since when the oldest complete segment is missing from the archive.
 * @param earlier what the former look has left in `seen`
 * @throws where `current` is no name of a segment
 */
export function judgeShipping(
  earlier: readonly SeenSegment[],
  { current, walNames, nowMs }: ShippingLook,
): { seen: SeenSegment[]; unshippedSinceMs: number | undefined } {
  const segment = parseSegment(current);
  if (segment === undefined) throw new Error(`${current} is no segment of WAL`);
  const onTimeline = earlier.filter(({ timeline }) => timeline === segment.timeline);
  const isKnown = onTimeline.some(({ number }) => number === segment.number);
  const seen = isKnown ? onTimeline : [...onTimeline, { ...segment, atMs: nowMs }];
  const newest = walNames
    .map(parseSegment)
    .findLast((archived) => archived?.timeline === segment.timeline);
  // Where nothing is archived yet, what was complete before the first look may be of a time without an archive.
  const shipped = newest?.number ?? (seen[0] ?? segment).number - 1;
  const waiting = seen.filter(({ number }) => number > shipped + 1);
  return {
    seen: newest === undefined ? seen : waiting,
    unshippedSinceMs: waiting[0]?.atMs,
  };
}
