import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readSealedFile } from '../../src/adapters/backup/sealed-file.js';
import { createBackupKeys } from '../../src/adapters/secrets/file-provider.js';
import { readFileKeys } from '../../src/main/backup-keys.js';
import { WAL_STAGING } from '../../src/main/dev-services.js';
import { keepShippingWal } from '../../src/main/ship-wal.js';
import { eventually } from '../support/eventually.js';

// What the launcher does with the segments that Postgres hands over, with real files and the clock as it is.

const first = '000000010000000000000003';
const second = '000000010000000000000004';

let folder: string;
let staging: string;
let parts: Parameters<typeof keepShippingWal>[0];
let shipping: ReturnType<typeof keepShippingWal> | undefined;
const said: string[] = [];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'anneal-ship-'));
  parts = {
    clusterDir: join(folder, 'cluster'),
    stateDir: join(folder, 'state'),
    backupDir: join(folder, 'backups'),
    say: (line) => void said.push(line),
  };
  staging = join(parts.clusterDir, WAL_STAGING);
  said.length = 0;
  await mkdir(staging, { recursive: true });
});
afterEach(async () => {
  await shipping?.stop();
  await rm(folder, { recursive: true, force: true });
});

const sealed = (name: string): string => join(parts.backupDir, 'wal', `${name}.sealed`);

/** What a file holds, opened with one version of the key alone. */
async function openWith(keyFolder: string, version: number, name: string): Promise<string> {
  const keys = new Map([...(await readFileKeys(keyFolder))].filter(([one]) => one === version));
  return (await readSealedFile(sealed(name), { keys, name: `wal/${name}` })).toString();
}

describe('the launcher', () => {
  it('seals WAL under the newest backup key, and under a rotated one without a new start', async () => {
    const keyFolder = join(parts.stateDir, 'keys');
    await createBackupKeys(keyFolder)();
    shipping = keepShippingWal(parts);
    await writeFile(join(staging, first), 'under the first key');
    await eventually(() => readFile(sealed(first)), { timeoutMs: 10_000, everyMs: 100 });
    await writeFile(join(keyFolder, 'backup-v2.key'), `${'2'.repeat(64)}\n`, { mode: 0o600 });
    await writeFile(join(staging, second), 'under the second key');
    await shipping.stop();
    expect(await openWith(keyFolder, 1, first)).toBe('under the first key');
    expect(await openWith(keyFolder, 2, second)).toBe('under the second key');
    expect(said).toEqual([]);
  }, 30_000);
});
