import { mkdir, mkdtemp, open, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { writeManifest } from '../../src/adapters/backup/manifest-file.js';
import { digestFile, sealFile } from '../../src/adapters/backup/sealed-file.js';
import {
  checkArchivedWal,
  openArchivedWal,
  readWalPath,
  shipWal,
} from '../../src/adapters/backup/wal-archive.js';
import { createBackupKeys } from '../../src/adapters/secrets/file-provider.js';
import { readFileKeys, toFileKey } from '../../src/main/backup-keys.js';
import { verifyBackup } from '../../src/main/backup.js';

const segment = (number: number): string =>
  `0000000100000000${number.toString(16).toUpperCase().padStart(8, '0')}`;
const base = { firstWal: segment(3), lastWal: segment(4) };

let folder: string;
let keyFolder: string;
let staging: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'anneal-wal-'));
  [keyFolder, staging] = [join(folder, 'keys'), join(folder, 'staging')];
  await mkdir(staging);
  await createBackupKeys(keyFolder)();
});
afterEach(() => rm(folder, { recursive: true }));

/** What an operator does when a key is due. */
const rotate = (version: number) =>
  writeFile(join(keyFolder, `backup-v${version}.key`), `${String(version).repeat(64)}\n`, {
    mode: 0o600,
  });
const stored = (number: number): string => join(folder, 'wal', `${segment(number)}.sealed`);

/** Ships segments as the launcher does, under the newest key. */
async function ship(...numbers: number[]): Promise<void> {
  for (const number of numbers)
    await writeFile(join(staging, segment(number)), Buffer.alloc(70_000, number));
  const key = toFileKey(await createBackupKeys(keyFolder)());
  await shipWal(staging, folder, { key, before: async () => undefined });
}

/** A finished backup of one file, under the newest key. */
async function backUp(): Promise<string> {
  const newest = await createBackupKeys(keyFolder)();
  const target = join(folder, 'bkp_1');
  const name = 'cluster/PG_VERSION';
  await sealFile(Buffer.from('18'), join(target, name), { key: toFileKey(newest), name });
  const file = await digestFile(join(target, name));
  const at = '2026-01-31T12:00:00.000Z';
  await writeManifest(
    target,
    {
      ...{ v: 1 as const, backupId: 'bkp_1', startedAt: at, stoppedAt: at },
      postgres: { version: '18.0', startLsn: '0/3000028', stopLsn: '0/4000100', ...base },
      schema: { version: 'm', count: 1, digest: 'd' },
      ...{ audit: [], keyVersion: newest.version, keys: [], folders: [] },
      files: [{ path: name, sha256: file?.sha256 ?? '', bytes: file?.bytes ?? 0 }],
      bytes: file?.bytes ?? 0,
    },
    newest.key.reveal(),
  );
  return target;
}

describe('archived WAL', () => {
  it('under a newer key restores together with a backup under the former one', async () => {
    const backup = await backUp();
    await ship(5);
    await rotate(2);
    await ship(6);
    expect(await verifyBackup(backup, keyFolder)).toMatchObject({
      status: 'intact',
      archivedWal: 2,
      walEnd: segment(6),
    });
    const keys = await readFileKeys(keyFolder);
    const { segments } = await readWalPath(folder, base.lastWal, keys);
    expect(segments).toEqual([segment(5), segment(6)]);
    for (const [at, name] of segments.entries()) {
      const to = join(folder, 'out', name);
      await openArchivedWal(folder, name, { to, keys });
      expect(await readFile(to)).toEqual(Buffer.alloc(70_000, 5 + at));
    }
  });

  it('whose key is lost, or another, is refused and named', async () => {
    const backup = await backUp();
    await rotate(2);
    await ship(5);
    await rename(join(keyFolder, 'backup-v2.key'), join(folder, 'lost'));
    const to = join(folder, 'out');
    const openIt = async () =>
      openArchivedWal(folder, segment(5), { to, keys: await readFileKeys(keyFolder) });
    await expect(openIt()).rejects.toThrow('version 2 of the backup key: put backup-v2.key');
    expect(await verifyBackup(backup, keyFolder)).toMatchObject({
      status: 'broken',
      fault: {
        path: `../wal/${segment(5)}.sealed`,
        detail: 'is sealed with version 2 of the backup key: put backup-v2.key among the keys',
      },
    });
    await writeFile(join(keyFolder, 'backup-v2.key'), 'ab'.repeat(32), { mode: 0o600 });
    await expect(openIt()).rejects.toThrow('was changed, or sealed with another key');
  });

  it('with a gap fails the verification, which names what is missing and where a restore ends', async () => {
    const backup = await backUp();
    await ship(4, 5, 6, 7, 8);
    expect(await verifyBackup(backup, keyFolder)).toMatchObject({ status: 'intact', fault: null });
    await rm(stored(6));
    expect(await verifyBackup(backup, keyFolder)).toMatchObject({
      status: 'broken',
      walEnd: segment(5),
      fault: {
        path: `../wal/${segment(6)}.sealed`,
        detail: `is missing, although WAL goes on at ${segment(7)}: a restore ends with ${segment(5)}`,
      },
    });
  });

  it('with one changed byte fails the verification, and the file is named', async () => {
    await ship(5, 6);
    const file = await open(stored(6), 'r+');
    await file.write(Buffer.from([0x55]), 0, 1, 40_000);
    await file.close();
    expect(await checkArchivedWal(folder, base, await readFileKeys(keyFolder))).toMatchObject({
      fault: {
        path: `../wal/${segment(6)}.sealed`,
        detail: 'was changed, or sealed with another key',
      },
    });
  });

  it('before the backup is neither opened nor missed', async () => {
    await ship(1, 5);
    await writeFile(stored(1), 'x');
    const found = await checkArchivedWal(folder, base, await readFileKeys(keyFolder));
    expect(found).toEqual({ end: segment(5), fault: null });
  });
});
