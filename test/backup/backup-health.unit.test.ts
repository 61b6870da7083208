import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createBackupFolder } from '../../src/adapters/backup/backup-folder.js';
import { writeManifest } from '../../src/adapters/backup/manifest-file.js';
import { createRestorationLog } from '../../src/adapters/backup/restoration-log.js';
import { createBackupWatch } from '../../src/activities/events/backup-watch.js';
import { createPlatformHealthLoop } from '../../src/activities/events/platform-health-loop.js';
import {
  judgeBackups,
  judgeShipping,
  unreadableBackups,
  type SeenSegment,
} from '../../src/domain/backup/backup-health.js';
import { mergePlatformHealth } from '../../src/domain/events/platform-health.js';
import { createMetrics } from '../../src/main/metrics.js';
import { eventually } from '../support/eventually.js';

const hex = (value: number): string => value.toString(16).toUpperCase().padStart(8, '0');
const segment = (number: number, timeline = 1): string =>
  `${hex(timeline)}${hex(Math.floor(number / 256))}${hex(number % 256)}`;

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'anneal-backup-health-'));
});
afterEach(() => rm(folder, { recursive: true }));

const archive = async (...names: string[]): Promise<void> => {
  await mkdir(join(folder, 'wal'), { recursive: true });
  for (const name of names) await writeFile(join(folder, 'wal', `${name}.sealed`), '');
};

/** A finished backup that says no more than when it began. */
async function backUp(id: string, startedAt: string): Promise<string> {
  const target = join(folder, id);
  await mkdir(target);
  const wal = { firstWal: segment(1), lastWal: segment(1) };
  await writeManifest(
    target,
    {
      ...{ v: 1 as const, backupId: id, startedAt, stoppedAt: '2026-01-31T13:00:00.000Z' },
      postgres: { version: '18.0', startLsn: '0/1000028', stopLsn: '0/1000100', ...wal },
      schema: { version: 'm', count: 1, digest: 'd' },
      ...{ audit: [], keyVersion: 1, keys: [], folders: [], files: [], bytes: 0 },
    },
    new Uint8Array(32),
  );
  return target;
}

/** Looks one after the other, of one memory: at what time, what is written, what is archived; since when one is missing. */
function look(...looks: [atMs: number, current: string, ...walNames: string[]][]) {
  let seen: SeenSegment[] = [];
  return looks.map(([nowMs, current, ...walNames]) => {
    const judged = judgeShipping(seen, { current, walNames, nowMs });
    seen = judged.seen;
    return judged.unshippedSinceMs;
  });
}

describe('WAL that is not in the backup folder', () => {
  it('is missed from the first look that saw the oldest missing segment complete, until it is there', () => {
    expect(
      look(
        [0, segment(11), segment(10)],
        [15, segment(12), segment(10)],
        [30, segment(12), segment(10)],
        [45, segment(14), segment(10)],
        [60, segment(14), segment(11)],
        [75, segment(14), segment(12)],
        [90, segment(14), segment(13)],
        [105, segment(15), segment(13)],
      ),
    ).toEqual([undefined, 15, 15, 15, 45, 45, undefined, 105]);
  });

  it('is not missed while its segment is written, for however long that takes', () => {
    const idle: [number, string, string] = [0, segment(256), segment(255)];
    expect(look(idle, idle, idle)).toEqual([undefined, undefined, undefined]);
    expect(look([0, segment(7), segment(6), `${segment(6)}.00000028.backup`])).toEqual([undefined]);
  });

  it('is missed where nothing is archived at all, but for what was complete before the first look', () => {
    expect(look([0, segment(9)], [15, segment(9)], [30, segment(10)], [45, segment(11)])).toEqual([
      undefined,
      undefined,
      30,
      30,
    ]);
    expect(look([0, segment(9)], [15, segment(10)], [30, segment(11), segment(9)])).toEqual([
      undefined,
      15,
      30,
    ]);
  });

  it('is that of the timeline that is written: another one proves nothing, nor does part of a segment', () => {
    const former = [segment(45), `${segment(46)}.partial`];
    expect(
      look(
        [0, segment(41, 2), ...former],
        [15, segment(42, 2), ...former],
        [30, segment(42, 2), ...former, segment(41, 2)],
      ),
    ).toEqual([undefined, 15, undefined]);
    expect(() => look([0, 'null'])).toThrow('no segment');
  });
});

describe('the age of backups', () => {
  it('is that of the newest; a rehearsal is due since the last one, else since the oldest; none is older than any', () => {
    const two = { oldestAtMs: 10, newestAtMs: 20 };
    expect(judgeBackups({ ...two, restoredAtMs: undefined })).toEqual({
      backedUpAtMs: 20,
      rehearsedAtMs: 10,
    });
    expect(judgeBackups({ ...two, restoredAtMs: 15 })).toEqual({
      backedUpAtMs: 20,
      rehearsedAtMs: 15,
    });
    const none = { oldestAtMs: undefined, newestAtMs: undefined };
    expect(judgeBackups({ ...none, restoredAtMs: 15 })).toEqual({
      backedUpAtMs: -Infinity,
      rehearsedAtMs: -Infinity,
    });
  });
});

describe('a backup folder', () => {
  it('that is not there yet holds nothing', async () => {
    expect(await createBackupFolder(join(folder, 'later')).readBackupFolder()).toEqual({
      oldestAtMs: undefined,
      newestAtMs: undefined,
      restoredAtMs: undefined,
      walNames: [],
    });
  });

  it('shows when its backups began, when one was last restored, and its WAL; not what is unfinished or broken', async () => {
    const { readBackupFolder } = createBackupFolder(folder);
    const first = await backUp('bkp_1', '2026-01-30T12:00:00.000Z');
    await backUp('bkp_2', '2026-01-31T12:00:00.000Z');
    await mkdir(join(folder, 'bkp_3'));
    await mkdir(join(folder, 'bkp_4'));
    await writeFile(join(folder, 'bkp_4', 'manifest.json'), '{');
    await archive(segment(2), segment(1));
    const facts = {
      oldestAtMs: Date.parse('2026-01-30T12:00:00Z'),
      newestAtMs: Date.parse('2026-01-31T12:00:00Z'),
      restoredAtMs: undefined,
      walNames: [segment(1), segment(2)],
    };
    expect(await readBackupFolder()).toEqual(facts);
    const before = Date.now();
    await createRestorationLog(folder).reserveThousand('bkp_1', 0);
    await rm(first, { recursive: true });
    const later = await readBackupFolder();
    expect(later).toMatchObject({ oldestAtMs: facts.newestAtMs, newestAtMs: facts.newestAtMs });
    expect(later.restoredAtMs).toBeGreaterThanOrEqual(before);
    expect(later.restoredAtMs).toBeLessThanOrEqual(Date.now());
  });

  it('that cannot be read is told from an empty one', async () => {
    await writeFile(join(folder, 'wal'), 'a file in its way');
    await expect(createBackupFolder(folder).readBackupFolder()).rejects.toThrow('ENOTDIR');
    await expect(createBackupFolder(join(folder, 'wal')).readBackupFolder()).rejects.toThrow();
    await rm(join(folder, 'wal'));
    await mkdir(join(folder, 'restorations.jsonl'));
    await expect(createBackupFolder(folder).readBackupFolder()).rejects.toThrow('EISDIR');
  });
});

/** A watch on the folder of a Postgres that writes `current`, with what it has logged. */
function createWatch(current: () => string) {
  const warnings: string[] = [];
  let nowMs = 0;
  const watch = createBackupWatch({
    ...createBackupFolder(folder),
    readCurrentWal: async () => current(),
    nowMs: () => (nowMs += 1_000),
    log: { warn: (_facts, message) => void warnings.push(message) },
  });
  return { ...watch, warnings };
}

describe('a look at the backups', () => {
  it('remembers the looks before it', async () => {
    await backUp('bkp_1', '2026-01-30T12:00:00.000Z');
    await archive(segment(5));
    const currents = [6, 7, 7].map((number) => segment(number));
    const { readBackups } = createWatch(() => currents.shift() ?? '');
    const atMs = Date.parse('2026-01-30T12:00:00Z');
    const well = { backedUpAtMs: atMs, rehearsedAtMs: atMs, unshippedSinceMs: undefined };
    expect(await readBackups()).toEqual(well);
    expect(await readBackups()).toEqual({ ...well, unshippedSinceMs: 2_000 });
    expect(await readBackups()).toEqual({ ...well, unshippedSinceMs: 2_000 });
  });

  it('at a folder that cannot be read is a warning, and nothing of it looks well', async () => {
    await writeFile(join(folder, 'wal'), 'a file in its way');
    const { readBackups, warnings } = createWatch(() => segment(6));
    expect(await readBackups()).toEqual(unreadableBackups);
    expect(warnings).toEqual(['platform: backups cannot be read']);
  });

  it('is shown although Temporal does not answer', async () => {
    const health = { ...unreadableBackups, unshippedSinceMs: undefined };
    const shown: object[] = [];
    const stopping = new AbortController();
    const loop = createPlatformHealthLoop({
      readBackups: async () => health,
      publishBackups: (one) => void shown.push(one),
      tenants: async () => [],
      readPlatformHealth: async () => mergePlatformHealth([]),
      readBacklogs: () => Promise.reject(new Error('away')),
      readKeyAges: async () => [],
      publish: () => void shown.push({}),
      log: { warn: () => undefined },
    });
    const ended = loop.run(stopping.signal);
    try {
      await eventually(() => {
        expect(shown).toEqual([health]);
      });
    } finally {
      stopping.abort();
      await ended;
    }
  });
});

describe('what a process shows of backups', () => {
  const scrape = async (metrics: ReturnType<typeof createMetrics>) =>
    Object.fromEntries(
      (await metrics.registry.metrics())
        .split('\n')
        .filter((line) => /^anneal_(?:backup|wal)_/.test(line))
        .map((line) => line.split(' ')),
    ) as Record<string, string>;

  it('is nothing until it has looked, so nothing where no backup folder is configured', async () => {
    expect(await scrape(createMetrics())).toEqual({});
  });

  it('ages from look to look, and is endless where there is no backup', async () => {
    const metrics = createMetrics();
    const agoMs = (ms: number) => Date.now() - ms;
    metrics.platform.publishBackups({
      ...{ backedUpAtMs: agoMs(50_000), rehearsedAtMs: agoMs(90_000) },
      unshippedSinceMs: undefined,
    });
    const first = await scrape(metrics);
    expect(Math.floor(Number(first['anneal_backup_age_seconds']) / 10)).toBe(5);
    expect(Math.floor(Number(first['anneal_backup_unrehearsed_seconds']) / 10)).toBe(9);
    expect(first['anneal_wal_unshipped_seconds']).toBe('0');
    await eventually(async () => {
      const later = await scrape(metrics);
      const read = (scraped: typeof first) => Number(scraped['anneal_backup_age_seconds']);
      expect(read(later)).toBeGreaterThan(read(first));
    });
    metrics.platform.publishBackups({ ...unreadableBackups, unshippedSinceMs: agoMs(30_000) });
    const { anneal_wal_unshipped_seconds: unshipped, ...ages } = await scrape(metrics);
    expect(ages).toEqual({
      anneal_backup_age_seconds: '+Inf',
      anneal_backup_unrehearsed_seconds: '+Inf',
    });
    expect(Math.floor(Number(unshipped) / 10)).toBe(3);
  });
});
