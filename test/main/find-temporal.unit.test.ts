import { createHash } from 'node:crypto';
import { chmod, mkdir, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { cliCachePath, tarEntry } from '../../src/adapters/temporal/download-cli.js';
import type { DownloadFetch } from '../../src/adapters/temporal/download-cli.js';
import { findTemporal } from '../../src/adapters/temporal/find-temporal.js';
import { temporalPins } from '../../src/adapters/temporal/temporal-pins.js';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'anneal-find-'));
});
afterEach(() => rm(folder, { recursive: true }));

const script = (server: string) =>
  `#!/bin/sh\necho "temporal version 1.9.9 (Server ${server}, UI 2.1.0)"\n`;

async function program(path: string, server: string): Promise<string> {
  await writeFile(path, script(server));
  await chmod(path, 0o755);
  return path;
}

/** A machine with nothing on it: its PATH is the test's folder. */
const machine = (more: { fetch?: DownloadFetch; cliSha256?: string; address?: string } = {}) => ({
  env: { PATH: folder },
  cacheDir: join(folder, 'cache'),
  devServerSource: join(folder, 'no-sources'),
  log: () => undefined,
  ...more,
});

/** A tar archive of regular files, as the release's archives are. */
function tar(files: Record<string, string>): Buffer {
  const blocks = Object.entries(files).flatMap(([name, content]) => {
    const header = Buffer.alloc(512);
    header.write(name, 0);
    header.write(`${content.length.toString(8).padStart(11, '0')}\0`, 124);
    header.write('0', 156);
    const body = Buffer.alloc(Math.ceil(content.length / 512) * 512);
    body.write(content);
    return [header, body];
  });
  return Buffer.concat([...blocks, Buffer.alloc(1024)]);
}

const answer = (archive: Buffer, status = 200): DownloadFetch => {
  async function* body() {
    yield archive.subarray(0, 100);
    yield archive.subarray(100);
  }
  return async () => ({
    ok: status === 200,
    status,
    headers: { get: () => String(archive.length) },
    body: body(),
  });
};

describe('findTemporal', () => {
  it('takes the server on PATH before the cache folder, if it is new enough', async () => {
    const path = await program(join(folder, 'temporal'), '1.29.1');
    await expect(findTemporal(machine())).resolves.toEqual({
      source: 2,
      kind: 'binary',
      path,
      serverVersion: '1.29.1',
      uiVersion: '2.1.0',
    });
  });

  it('passes over a server on PATH that is too old and says so', async () => {
    await program(join(folder, 'temporal'), '1.29.0');
    await expect(findTemporal(machine())).rejects.toThrow(/server 1\.29\.0 is older than 1\.29\.1/);
  });

  it('asks the named cluster only, and does not fall back to a local server when it is silent', async () => {
    await program(join(folder, 'temporal'), temporalPins.server);
    const options = machine({ address: 'cluster.example:7233' });
    const silent = () => Promise.reject(new Error('14 UNAVAILABLE'));
    await expect(findTemporal({ ...options, probeAddress: silent })).rejects.toThrow(
      /TEMPORAL_ADDRESS=cluster\.example:7233: does not answer \(14 UNAVAILABLE\)/,
    );
    await expect(findTemporal({ ...options, probeAddress: async () => '1.28.0' })).rejects.toThrow(
      /1\.28\.0 is older/,
    );
    await expect(
      findTemporal({ ...options, probeAddress: async () => '1.31.0' }),
    ).resolves.toMatchObject({ source: 1, kind: 'address', serverVersion: '1.31.0' });
  });

  it('downloads the CLI once, then takes it from the cache folder', async () => {
    const archive = gzipSync(tar({ LICENSE: 'MIT', temporal: script(temporalPins.server) }));
    const cliSha256 = createHash('sha256').update(archive).digest('hex');
    const first = await findTemporal(machine({ fetch: answer(archive), cliSha256 }));
    const path = cliCachePath(join(folder, 'cache'));
    expect(first).toMatchObject({ source: 4, kind: 'binary', path });
    expect(await readFile(path, 'utf8')).toBe(script(temporalPins.server));
    await expect(findTemporal(machine())).resolves.toMatchObject({ source: 3, path });
  });

  it('discards an archive whose checksum is not the pinned one', async () => {
    const archive = gzipSync(tar({ temporal: script(temporalPins.server) }));
    const search = findTemporal(machine({ fetch: answer(archive), cliSha256: 'ab'.repeat(32) }));
    await expect(search).rejects.toThrow(/not the pinned (ab){32}; it was discarded/);
    await expect(readdir(join(folder, 'cache'))).rejects.toThrow('ENOENT');
  });

  it('names all five places in order, each with the command that fixes it', async () => {
    const offline: DownloadFetch = () =>
      Promise.reject(new TypeError('fetch failed', { cause: new Error('ENOTFOUND') }));
    const error = await findTemporal(machine({ fetch: offline })).catch(
      (reason: unknown) => reason,
    );
    const text = (error as Error).message;
    expect(text.match(/^ {2}\(\d\)/gm)).toEqual(['  (1)', '  (2)', '  (3)', '  (4)', '  (5)']);
    expect(text.match(/^ {6}fix: \S/gm)).toHaveLength(5);
    expect(text).toContain('the download cannot be reached (ENOTFOUND)');
  });

  it('refuses a Go that cannot build the server with one sentence', async () => {
    const sources = join(folder, 'no-sources');
    await mkdir(sources);
    await writeFile(join(sources, 'go.mod'), 'module x\n');
    await writeFile(join(folder, 'go'), '#!/bin/sh\necho "go version go1.21.3 linux/amd64"\n');
    await chmod(join(folder, 'go'), 0o755);
    await expect(findTemporal(machine())).rejects.toThrow(/Go 1\.21\.3 is older than 1\.26/);
  });

  it('obtains nothing when it may only look', async () => {
    const never: DownloadFetch = () => Promise.reject(new Error('asked'));
    const error = await findTemporal({ ...machine({ fetch: never }), obtain: false }).catch(
      (reason: unknown) => reason,
    );
    expect((error as Error).message).not.toContain('asked');
  });
});

describe('tarEntry', () => {
  it('finds a file behind others and refuses one that is cut off', () => {
    const archive = tar({ './LICENSE': 'x'.repeat(700), './temporal': 'binary' });
    expect(tarEntry(archive, 'temporal')?.toString()).toBe('binary');
    expect(tarEntry(archive, 'absent')).toBeUndefined();
    expect(tarEntry(archive.subarray(0, 512 + 1024 + 512 + 3), 'temporal')).toBeUndefined();
  });
});
