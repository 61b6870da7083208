import { appendFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createRestorationLog } from '../../src/adapters/backup/restoration-log.js';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'anneal-restorations-'));
});
afterEach(() => rm(folder, { recursive: true }));

describe('the log of restores', () => {
  it('gives each restore epochs past those of every other, of whichever backup', async () => {
    const reserve = (newest: number) =>
      createRestorationLog(folder).reserveThousand('bkp_1', newest);
    expect(await reserve(0)).toBe(1);
    expect(await reserve(0)).toBe(2);
    // Of a backup that was made in the life after a third one.
    expect(await reserve(7)).toBe(8);
    expect(await reserve(0)).toBe(9);
  });

  it('passes over a line that a crash tore, and begins one of its own', async () => {
    const { reserveThousand } = createRestorationLog(folder);
    await reserveThousand('bkp_1', 4);
    await appendFile(join(folder, 'restorations.jsonl'), '{"v":1,"thou');
    expect(await reserveThousand('bkp_1', 0)).toBe(6);
    const text = await readFile(join(folder, 'restorations.jsonl'), 'utf8');
    expect(text.trimEnd().split('\n')).toHaveLength(3);
  });

  it('refuses where it cannot be written, and says what for', async () => {
    await writeFile(join(folder, 'file'), '');
    const log = createRestorationLog(join(folder, 'file'));
    await expect(log.reserveThousand('bkp_1', 0)).rejects.toThrow();
  });
});
