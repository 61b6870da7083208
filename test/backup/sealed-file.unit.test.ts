import { createCipheriv } from 'node:crypto';
import { appendFile, mkdtemp, open, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  digestFile,
  fileKeyOf,
  openSealedFile,
  sealFile,
  type FileKeys,
} from '../../src/adapters/backup/sealed-file.js';
import { readManifest, writeManifest } from '../../src/adapters/backup/manifest-file.js';
import { createCheckpointFile } from '../../src/adapters/checkpoint-file/checkpoint-file.js';
import { sha256Hex } from '../../src/domain/digest.js';

const key = { version: 1, key: fileKeyOf(Buffer.alloc(32, 7)) };
const keys = new Map([[1, key.key]]);
const other = fileKeyOf(Buffer.alloc(32, 8));
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
    expect(sealed).toMatchObject({ plainBytes: size, bytes: size + 36 });
    expect(await digestFile(at('sealed'))).toEqual({ sha256: sealed?.sha256, bytes: size + 36 });
    await openSealedFile(at('sealed'), at('out'), { keys, name: 'n' });
    expect(sha256Hex(await readFile(at('out')))).toBe(sha256Hex(content));
  });

  it('shows nothing of its content', async () => {
    await sealFile(Buffer.from(canary.repeat(100)), at('sealed'), { key, name: 'n' });
    expect((await readFile(at('sealed'))).includes(canary)).toBe(false);
  });

  it('does not open with one byte changed, another name, another key, or its end cut off', async () => {
    const seal = () => sealFile(Buffer.from(canary), at('sealed'), { key, name: 'n' });
    const refuses = async (given: { keys: FileKeys; name: string }) => {
      await expect(openSealedFile(at('sealed'), at('out'), given)).rejects.toThrow();
      expect(await readdir(folder)).toEqual(['sealed']);
    };
    for (const offset of [0, 5, 7, 16, 30]) {
      await seal();
      await flip(at('sealed'), offset);
      await refuses({ keys, name: 'n' });
    }
    await seal();
    await refuses({ keys, name: 'other' });
    await refuses({ keys: new Map([[1, other]]), name: 'n' });
    await writeFile(at('sealed'), (await readFile(at('sealed'))).subarray(0, 20));
    await refuses({ keys, name: 'n' });
  });

  it('opens with the version of the key that it names, and with no other', async () => {
    await sealFile(Buffer.from(canary), at('sealed'), {
      key: { version: 2, key: other },
      name: 'n',
    });
    const open = (given: FileKeys) =>
      openSealedFile(at('sealed'), at('out'), { keys: given, name: 'n' });
    await expect(open(keys)).rejects.toThrow('version 2 of the backup key: put backup-v2.key');
    await expect(open(new Map([...keys, [2, key.key]]))).rejects.toThrow('another key');
    await open(new Map([...keys, [2, other]]));
    expect(await readFile(at('out'), 'utf8')).toBe(canary);
    // The version is authenticated: one key under two numbers does not make them one.
    await flip(at('sealed'), 7);
    await expect(open(new Map([[3, other]]))).rejects.toThrow('was changed');
  });

  it('of the first format, which names no version, opens with any key that is there', async () => {
    const nonce = Buffer.alloc(12, 3);
    const cipher = createCipheriv('aes-256-gcm', other, nonce);
    cipher.setAAD(Buffer.from('n'));
    const body = Buffer.concat([cipher.update(canary), cipher.final()]);
    await writeFile(
      at('old'),
      Buffer.concat([Buffer.from('ANB1'), nonce, body, cipher.getAuthTag()]),
    );
    const open = (given: FileKeys) =>
      openSealedFile(at('old'), at('out'), { keys: given, name: 'n' });
    await open(new Map([...keys, [2, other]]));
    expect(await readFile(at('out'), 'utf8')).toBe(canary);
    await expect(open(keys)).rejects.toThrow('another key');
    await expect(open(new Map())).rejects.toThrow('key that is missing');
  });

  it('of a format to come is refused by its name', async () => {
    await writeFile(at('new'), Buffer.concat([Buffer.from('ANB3'), Buffer.alloc(60)]));
    await expect(openSealedFile(at('new'), at('out'), { keys, name: 'n' })).rejects.toThrow(
      'has the format ANB3, which this build does not know',
    );
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
