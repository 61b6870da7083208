import { setTimeout as delay } from 'node:timers/promises';
import type { DueResult } from '../../domain/etl/due-work.js';
import type { ChangeRecord, SourceFacts } from '../../domain/etl/ledger.js';
import type { Caller } from '../../domain/events/change.js';

/** What hints of a folder lead to. */
export interface HintDeps {
  /** A file as it is now; undefined where it is gone, or is no file that may be read. */
  look: (
    source: SourceFacts,
    naturalKey: string,
  ) => Promise<{ token: string; bytes: number } | undefined>;
  recordChanges: (
    caller: Caller,
    sourceId: string,
    changes: readonly ChangeRecord[],
  ) => Promise<unknown>;
  /** Lists the source as soon as no other listing of it runs. */
  startHintedScan: (caller: Caller, sourceId: string) => Promise<DueResult>;
  log: { warn: (facts: object, message: string) => void };
}

/** Files of one flush; where more changed, the folder is listed instead. */
const MAX_FILES = 200;
/** Writers come in bursts: a flush waits until a folder was quiet this long, and never longer than the second. */
const QUIET_MS = 100;
const LONGEST_WAIT_MS = 1_000;
const AGAIN_MS = 250;
/** Tries to list while another listing runs; after that the Schedule does it. */
const MAX_TRIES = 240;

/** A row of a table is a document of its own: which rows changed, only a listing says. */
const holdsRows = ({ config }: SourceFacts, path: string): boolean =>
  /\.csv$/i.test(path) && (config as { csv?: { keyColumn?: string } }).csv?.keyColumn !== undefined;

/** What was seen to change and is not acted on yet. */
interface Seen {
  paths: Set<string>;
  /** Something that is not one file: it takes a listing. */
  listing: boolean;
  tries: number;
}

const callerOf = (tenant: string): Caller => ({
  tenant,
  actor: { subject: 'system', kind: 'system', roles: [], via: 'folder-watch' },
});

/** Files that are there become changes; whatever else was seen takes a listing, which alone proves a deletion. */
async function flush(
  deps: HintDeps,
  of: { tenant: string; source: SourceFacts },
  seen: Seen,
): Promise<void> {
  const { tenant, source } = of;
  const { sourceId } = source;
  const changes: ChangeRecord[] = [];
  if (seen.paths.size > MAX_FILES) seen.listing = true;
  for (const naturalKey of seen.paths.size > MAX_FILES ? [] : seen.paths) {
    const found = holdsRows(source, naturalKey) ? undefined : await deps.look(source, naturalKey);
    if (found === undefined) seen.listing = true;
    else {
      const { token: sourceVersion, bytes } = found;
      changes.push({ naturalKey, kind: 'upsert', sourceVersion, bytes, priority: 3 });
    }
  }
  const caller = callerOf(tenant);
  if (changes.length > 0) await deps.recordChanges(caller, sourceId, changes);
  seen.paths.clear();
  if (!seen.listing) return;
  const result = await deps.startHintedScan(caller, sourceId);
  const isBusy = result.state === 'SKIPPED' && result.reason === 'RUNNING';
  seen.tries = isBusy ? seen.tries + 1 : 0;
  seen.listing = isBusy && seen.tries < MAX_TRIES;
}

/**
 * Turns what a watched folder hints at into changes and listings. A hint that is lost or wrong costs time and nothing
 * else: the listing by the clock finds the same.
 */
export function createFolderHints(
  deps: HintDeps,
  of: { tenant: string; source: SourceFacts },
  signal: AbortSignal,
) {
  const seen: Seen = { paths: new Set(), listing: false, tries: 0 };
  let lastAtMs = 0;
  let ring: () => void = () => undefined;
  const note = (): void => {
    lastAtMs = performance.now();
    ring();
  };
  const isIdle = (): boolean => seen.paths.size === 0 && !seen.listing;
  const settle = async (): Promise<void> => {
    const sinceMs = performance.now();
    for (;;) {
      const quietMs = performance.now() - lastAtMs;
      if (quietMs >= QUIET_MS || performance.now() - sinceMs >= LONGEST_WAIT_MS) return;
      await delay(QUIET_MS - quietMs, undefined, { signal }).catch(() => undefined);
      if (signal.aborted) return;
    }
  };
  const something = (): Promise<void> =>
    new Promise((resolve) => {
      ring = resolve;
      signal.addEventListener('abort', () => resolve(), { once: true });
      if (!isIdle() || signal.aborted) resolve();
    });
  return {
    /** A path below the folder, `/` between its parts. */
    changed: (path: string): void => {
      seen.paths.add(path);
      note();
    },
    /** Something changed, and nobody can say what. */
    unclear: (): void => {
      seen.listing = true;
      note();
    },
    run: async (): Promise<void> => {
      while (!signal.aborted) {
        await something();
        await settle();
        if (signal.aborted) return;
        try {
          await flush(deps, of, seen);
        } catch (error) {
          const { sourceId } = of.source;
          deps.log.warn({ sourceId, reason: String(error) }, 'etl: hints of a folder wait');
          await delay(AGAIN_MS, undefined, { signal }).catch(() => undefined);
          continue;
        }
        if (seen.listing) await delay(AGAIN_MS, undefined, { signal }).catch(() => undefined);
      }
    },
  };
}
