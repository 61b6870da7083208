import { appendFile, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { writeManifest } from '../../src/adapters/backup/manifest-file.js';
import { openSealedFile } from '../../src/adapters/backup/sealed-file.js';
import { bringArtifacts } from '../../src/adapters/backup/state-mirror.js';
import { createBackupKeys } from '../../src/adapters/secrets/file-provider.js';
import { readFileKeys } from '../../src/main/backup-keys.js';
import { keepShippingWal } from '../../src/main/ship-wal.js';

const SEGMENT = '000000010000000000000005';

let folder: string;
let stateDir: string;
let backupDir: string;
let staging: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'anneal-mirror-'));
  [stateDir, backupDir] = [join(folder, 'state'), join(folder, 'backups')];
  staging = join(stateDir, 'postgres', 'cluster', 'anneal_wal');
  await mkdir(staging, { recursive: true });
});
afterEach(() => rm(folder, { recursive: true }));

const hexOf = (digit: string): string => digit.repeat(64);
const pathOf = (digit: string): string =>
  join('artifacts', 'acme', 'sha256', digit.repeat(2), hexOf(digit));
const refOf = (digit: string): string => `acme/sha256/${hexOf(digit)}`;

async function put(path: string, content: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, content);
}

/** A finished backup that holds these artifacts. */
async function backUp(...held: string[]): Promise<void> {
  const { version, key } = await createBackupKeys(join(stateDir, 'keys'))();
  const at = '2026-01-31T12:00:00.000Z';
  await mkdir(join(backupDir, 'bkp_1'), { recursive: true });
  await writeManifest(
    join(backupDir, 'bkp_1'),
    {
      ...{ v: 1 as const, backupId: 'bkp_1', startedAt: at, stoppedAt: at },
      postgres: { version: '18', startLsn: '0/1', stopLsn: '0/2', firstWal: 'a', lastWal: 'b' },
      schema: { version: 'm', count: 1, digest: 'd' },
      ...{ audit: [], keyVersion: version, keys: [], folders: [], bytes: 0 },
      files: held.map((digit) => ({ path: pathOf(digit), sha256: hexOf('0'), bytes: 1 })),
    },
    key.reveal(),
  );
}

/** One pass as it is made when the launcher stops; what it said. */
async function pass(): Promise<string[]> {
  const said: string[] = [];
  const clusterDir = dirname(staging);
  const shipping = keepShippingWal({
    ...{ clusterDir, stateDir, backupDir },
    say: (line) => said.push(line),
  });
  await shipping.stop().catch((error: unknown) => said.push(String(error)));
  return said;
}

const archived = () => readdir(join(backupDir, 'wal')).catch((): string[] => []);

describe('what WAL names', () => {
  it('is shipped with it: new artifacts, and the checkpoints', async () => {
    await backUp('a');
    for (const digit of ['a', 'b']) await put(join(stateDir, pathOf(digit)), `artifact ${digit}`);
    await put(join(stateDir, 'artifacts', '.incoming', 'x'), 'half');
    await put(join(stateDir, 'artifacts', 'acme', 'staged', 'run', 'model'), 'passing');
    await put(join(stateDir, 'audit', 'checkpoints'), '{"v":1}\n');
    await writeFile(join(staging, SEGMENT), 'wal');
    expect(await pass()).toEqual([]);
    expect(await archived()).toEqual([`${SEGMENT}.sealed`]);
    expect(await readdir(staging)).toEqual([]);
    expect(await readdir(join(backupDir, 'artifacts', 'acme'))).toEqual(['sha256']);
    expect(await readdir(join(backupDir, 'artifacts', 'acme', 'sha256'))).toEqual(['bb']);
    const name = 'audit/checkpoints';
    const to = join(folder, 'checkpoints');
    const keys = await readFileKeys(join(stateDir, 'keys'));
    await openSealedFile(join(backupDir, name), to, { keys, name });
    expect(await readFile(to, 'utf8')).toBe('{"v":1}\n');
  });

  it('comes before it: WAL stays where it is while an artifact cannot be shipped', async () => {
    await backUp();
    await put(join(stateDir, pathOf('b')), 'artifact b');
    await writeFile(join(staging, SEGMENT), 'wal');
    await put(join(backupDir, 'artifacts', 'acme', 'sha256', 'bb'), 'a file in its way');
    expect((await pass()).join()).toContain('is not archived');
    expect(await archived()).toEqual([]);
    expect(await readdir(staging)).toEqual([SEGMENT]);
    await rm(join(backupDir, 'artifacts', 'acme', 'sha256', 'bb'));
    expect(await pass()).toEqual([]);
    expect(await archived()).toEqual([`${SEGMENT}.sealed`]);
    expect(await readdir(join(backupDir, 'artifacts', 'acme', 'sha256'))).toEqual(['bb']);
  });

  it('is shipped without WAL too where a backup was finished since', async () => {
    await backUp('a');
    await put(join(stateDir, pathOf('c')), 'made while the backup was written');
    expect(await pass()).toEqual([]);
    expect(await readdir(join(backupDir, 'artifacts', 'acme', 'sha256'))).toEqual(['cc']);
  });

  it('comes back into an empty state folder; what is nowhere, or was changed, is listed', async () => {
    await backUp();
    for (const digit of ['b', 'c']) await put(join(stateDir, pathOf(digit)), `artifact ${digit}`);
    await writeFile(join(staging, SEGMENT), 'wal');
    await pass();
    await appendFile(join(backupDir, pathOf('c')), 'x');
    const keys = await readFileKeys(join(stateDir, 'keys'));
    const empty = join(folder, 'empty');
    const named = ['b', 'c', 'd'].map((digit) => ({
      ref: refOf(digit),
      path: pathOf(digit).slice('artifacts/'.length),
    }));
    const lacking = await bringArtifacts(named, { stateDir: empty, backupDir, keys });
    expect(lacking).toEqual([refOf('c'), refOf('d')]);
    expect(await readFile(join(empty, pathOf('b')), 'utf8')).toBe('artifact b');
  });
});
