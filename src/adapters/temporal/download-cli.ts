import { createHash } from 'node:crypto';
import { chmod, mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { platformKey, temporalPins } from './temporal-pins.js';

/** The part of `fetch` that a download needs; the composition root passes its own. Follows redirects. */
export type DownloadFetch = (
  url: string,
  init: { redirect: 'follow'; signal: AbortSignal },
) => Promise<{
  ok: boolean;
  status: number;
  headers: { get(name: string): string | null };
  body: AsyncIterable<Uint8Array> | null;
}>;

export interface DownloadCliOptions {
  cacheDir: string;
  fetch?: DownloadFetch | undefined;
  log: (line: string) => void;
  signal?: AbortSignal | undefined;
  /** For tests; the machine's own otherwise, as `platform-arch`. */
  platform?: string | undefined;
  /** SHA-256 of the archive, hex, in place of the pinned one: for platforms that have none. */
  cliSha256?: string | undefined;
}

const maxArchiveBytes = 150 * 1024 * 1024;
const maxBinaryBytes = 600 * 1024 * 1024;
/** Without an answer for this long the machine is taken to be offline, and the next way is tried. */
const stallMs = 10_000;
const progressMs = 2_000;

const thisPlatform = () => platformKey(process.platform, process.arch);

/** Where the pinned CLI lies in the cache folder, whether it is there or not. */
export const cliCachePath = (cacheDir: string, platform: string = thisPlatform()): string =>
  join(cacheDir, `temporal-cli-${temporalPins.cli}-${platform}`);

/**
 * Downloads the pinned Temporal CLI into the cache folder and returns its path. The archive's SHA-256 is compared before
 * anything is unpacked, and the binary appears under its name only when whole. Throws an Error with one sentence.
 */
export async function downloadCli(options: DownloadCliOptions): Promise<string> {
  const platform = options.platform ?? thisPlatform();
  const pinned: Record<string, string> = temporalPins.cliSha256;
  const expected = options.cliSha256 ?? pinned[platform];
  if (options.fetch === undefined) throw new Error('downloads are off');
  if (expected === undefined) throw new Error(`there is no pinned download for ${platform}`);
  const archive = await receive(options.fetch, archiveUrl(platform), options);
  const digest = createHash('sha256').update(archive).digest('hex');
  if (digest !== expected) {
    throw new Error(
      `the archive has SHA-256 ${digest}, not the pinned ${expected}; it was discarded`,
    );
  }
  const binary = tarEntry(
    await promisify(gunzip)(archive, { maxOutputLength: maxBinaryBytes }),
    'temporal',
  );
  if (binary === undefined) throw new Error('the archive holds no file named temporal');
  return place(binary, cliCachePath(options.cacheDir, platform));
}

/** The release's archive for a platform; names follow the release (`amd64` where Node says `x64`). */
function archiveUrl(platform: string): string {
  const name = platform.replace('-x64', '_amd64').replace('-arm64', '_arm64');
  return `https://github.com/temporalio/cli/releases/download/v${temporalPins.cli}/temporal_cli_${temporalPins.cli}_${name}.tar.gz`;
}

async function receive(
  fetch: DownloadFetch,
  url: string,
  { log, signal }: Pick<DownloadCliOptions, 'log' | 'signal'>,
): Promise<Buffer> {
  const stall = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const alive = () => {
    clearTimeout(timer);
    timer = setTimeout(() => stall.abort(new Error(`no answer for ${stallMs / 1_000} s`)), stallMs);
  };
  alive();
  const signals = [stall.signal, ...(signal === undefined ? [] : [signal])];
  log(`downloading Temporal CLI ${temporalPins.cli}`);
  try {
    const response = await fetch(url, { redirect: 'follow', signal: AbortSignal.any(signals) });
    if (!response.ok || response.body === null) {
      throw new Error(`the download answers ${response.status}`);
    }
    const total = Number(response.headers.get('content-length') ?? 0);
    return await collect(response.body, { total, log, alive });
  } catch (error) {
    throw new Error(offlineReason(error, stall.signal), { cause: error });
  } finally {
    clearTimeout(timer);
  }
}

async function collect(
  body: AsyncIterable<Uint8Array>,
  { total, log, alive }: { total: number; log: (line: string) => void; alive: () => void },
): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  let said = performance.now();
  for await (const chunk of body) {
    alive();
    bytes += chunk.byteLength;
    if (bytes > maxArchiveBytes) throw new Error('the archive is larger than expected');
    chunks.push(chunk);
    if (performance.now() - said >= progressMs) {
      said = performance.now();
      const of = total > 0 ? ` of ${megabytes(total)}` : '';
      log(`downloading Temporal CLI ${temporalPins.cli}: ${megabytes(bytes)}${of} MB`);
    }
  }
  return Buffer.concat(chunks);
}

function offlineReason(error: unknown, stall: AbortSignal): string {
  if (stall.aborted) return `the download gave no answer for ${stallMs / 1_000} s`;
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  const message = cause instanceof Error ? cause.message : String(cause);
  return message.startsWith('the ') ? message : `the download cannot be reached (${message})`;
}

/**
 * The bytes of one regular file in a tar archive (POSIX.1-2017 ustar: 512-byte blocks, name at 0, octal size at 124,
 * type at 156). Undefined where the archive has no such file.
 */
export function tarEntry(archive: Buffer, name: string): Buffer | undefined {
  for (let at = 0; at + 512 <= archive.length;) {
    const field = (from: number, length: number) =>
      archive.toString('latin1', at + from, at + from + length).replace(/\0.*$/s, '');
    const size = Number.parseInt(field(124, 12).trim() || '0', 8);
    if (!Number.isSafeInteger(size)) return undefined;
    const isFile = ['', '0'].includes(field(156, 1));
    const start = at + 512;
    if (isFile && field(0, 100).replace(/^\.\//, '') === name) {
      return start + size <= archive.length ? archive.subarray(start, start + size) : undefined;
    }
    at = start + Math.ceil(size / 512) * 512;
  }
  return undefined;
}

async function place(binary: Buffer, path: string): Promise<string> {
  const fresh = `${path}.${process.pid}.tmp`;
  await mkdir(dirname(path), { recursive: true });
  try {
    await writeFile(fresh, binary);
    await chmod(fresh, 0o755);
    await rename(fresh, path);
  } finally {
    await rm(fresh, { force: true });
  }
  return path;
}

const megabytes = (bytes: number) => Math.round(bytes / 1_000_000);
