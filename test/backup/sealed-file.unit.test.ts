import { appendFile, mkdtemp, open, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  digestFile,
  fileKeyOf,
  openSealedFile,
  sealFile,
} from '../../src/adapters/backup/sealed-file.js';
import { readManifest, writeManifest } from '../../src/adapters/backup/manifest-file.js';
import { createCheckpointFile } from '../../src/adapters/checkpoint-file/checkpoint-file.js';
import { sha256Hex } from '../../src/domain/digest.js';

const key = fileKeyOf(Buffer.alloc(32, 7));
let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'anneal-sealed-'));
});
afterEach(() => rm(folder, { recursive: true }));
const at = (name: string): string => join(folder, name);

async function flip(path: string, offset: number): Promise<void> {
  const file = await open(path, 'r+');
  const byte = Buffer.alloc(1);
  await file.read(byte, 0, 1, offset);
  byte.writeUInt8(byte.readUInt8(0) ^ 1);
  await file.write(byte, 0, 1, offset);
  await file.close();
}

describe('a sealed file', () => {
  const canary = 'canary-4711';

  it.each([0, 1, 1_048_575, 1_048_576, 3_000_000])('of %i bytes comes back whole', async (size) => {
    const content = Buffer.alloc(size, 'abcdefg');
    await writeFile(at('in'), content);
    const sealed = await sealFile(at('in'), at('sealed'), { key, name: 'n' });
    expect(sealed).toMatchObject({ plainBytes: size, bytes: size + 32 });
    expect(await digestFile(at('sealed'))).toEqual({ sha256: sealed?.sha256, bytes: size + 32 });
    await openSealedFile(at('sealed'), at('out'), { key, name: 'n' });
    expect(sha256Hex(await readFile(at('out')))).toBe(sha256Hex(content));
  });

  it('shows nothing of its content', async () => {
    await sealFile(Buffer.from(canary.repeat(100)), at('sealed'), { key, name: 'n' });
    expect((await readFile(at('sealed'))).includes(canary)).toBe(false);
  });

  it('does not open with one byte changed, another name, another key, or its end cut off', async () => {
    const seal = () => sealFile(Buffer.from(canary), at('sealed'), { key, name: 'n' });
    const refuses = async (given: { key: Uint8Array; name: string }) => {
      await expect(openSealedFile(at('sealed'), at('out'), given)).rejects.toThrow();
      expect(await readdir(folder)).toEqual(['sealed']);
    };
    for (const offset of [0, 5, 16, 30]) {
      await seal();
      await flip(at('sealed'), offset);
      await refuses({ key, name: 'n' });
    }
    await seal();
    await refuses({ key, name: 'other' });
    await refuses({ key: fileKeyOf(Buffer.alloc(32, 8)), name: 'n' });
    await writeFile(at('sealed'), (await readFile(at('sealed'))).subarray(0, 20));
    await refuses({ key, name: 'n' });
  });

  it('is not made of a source that is gone', async () => {
    expect(await sealFile(at('none'), at('sealed'), { key, name: 'n' })).toBeUndefined();
    expect(await readdir(folder)).toEqual([]);
  });
});

describe('a manifest', () => {
  const manifest = {
    v: 1 as const,
    backupId: 'bkp_1',
    startedAt: '2026-01-31T12:00:00.000Z',
    stoppedAt: '2026-01-31T12:00:01.000Z',
    postgres: { version: '18.0', startLsn: '0/1', stopLsn: '0/2', firstWal: 'a', lastWal: 'b' },
    schema: { version: 'm', count: 1, digest: 'sha256:x' },
    audit: [],
    keyVersion: 1,
    keys: [],
    folders: [],
    files: [],
    bytes: 0,
  };

  it('is authentic as it was written, and under no other key', async () => {
    await writeManifest(folder, manifest, Buffer.alloc(32, 7));
    const { manifest: read, isAuthentic } = await readManifest(folder);
    expect(read).toEqual(manifest);
    expect(isAuthentic(Buffer.alloc(32, 7))).toBe(true);
    expect(isAuthentic(Buffer.alloc(32, 8))).toBe(false);
  });

  it('that somebody edited is not', async () => {
    await writeManifest(folder, manifest, Buffer.alloc(32, 7));
    const path = at('manifest.json');
    const text = await readFile(path, 'utf8');
    await writeFile(path, text.replace('"bytes": 0', '"bytes": 1'));
    expect((await readManifest(folder)).isAuthentic(Buffer.alloc(32, 7))).toBe(false);
    await appendFile(path, 'x');
    await expect(readManifest(folder)).rejects.toThrow('is not JSON');
  });
});

describe('checkpoints after a restore', () => {
  it('beyond its end are set aside and stay in the file', async () => {
    const file = createCheckpointFile(at('checkpoints'));
    const hash = 'a'.repeat(64);
    const checkpoint = (tenant: string, size: number) => ({
      origin: 'o',
      tenant,
      size,
      headHash: hash,
      at: 't',
    });
    await file.append([checkpoint('one', 5), checkpoint('one', 9), checkpoint('two', 9)]);
    const restored = [
      { ...checkpoint('one', 7), restored: 'bkp_1' },
      { ...checkpoint('gone', 0), restored: 'bkp_1' },
    ];
    await file.appendRestored(restored);
    await file.append([checkpoint('one', 12)]);
    expect((await file.read()).map(({ tenant, size }) => `${tenant} ${size}`)).toEqual([
      'one 5',
      'two 9',
      'one 7',
      'one 12',
    ]);
    expect(await file.readRestored()).toEqual(restored);
    expect((await readFile(at('checkpoints'), 'utf8')).split('\n')).toHaveLength(7);
  });
});
