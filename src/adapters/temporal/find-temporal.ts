import { execFile } from 'node:child_process';
import { access, constants, stat } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { buildDevServer, devServerCachePath } from './build-dev-server.js';
import { cliCachePath, downloadCli } from './download-cli.js';
import type { DownloadFetch } from './download-cli.js';
import { isAtLeast, parseVersionOutput, temporalPins } from './temporal-pins.js';
import type { TemporalVersions } from './temporal-pins.js';

/** The five places, in the order in which they are tried. */
type TemporalSource = 1 | 2 | 3 | 4 | 5;

/** A Temporal server that can be used: one that runs at an address, or a binary that takes `server start-dev`. */
export type FoundTemporal =
  | ({ source: 1; kind: 'address'; address: string } & TemporalVersions)
  | ({ source: 2 | 3 | 4 | 5; kind: 'binary'; path: string } & TemporalVersions);

export interface FindTemporalOptions {
  /** `TEMPORAL_ADDRESS`. Where it is set nothing else is tried: a typo must not end in a local server. */
  address?: string | undefined;
  /** Connects to `address` with the caller's TLS and key settings and answers the server's version; throws otherwise. */
  probeAddress?: ((address: string) => Promise<string>) | undefined;
  /** The environment of the processes started here: PATH, HOME, proxies, GO*. */
  env: Readonly<Record<string, string | undefined>>;
  /** `ANNEAL_CACHE_DIR`: where binaries are kept between projects. Created when needed. */
  cacheDir: string;
  /** The folder of tools/temporal-dev. */
  devServerSource: string;
  /** Used by the download alone. Left out: no download is tried. */
  fetch?: DownloadFetch | undefined;
  /** `ANNEAL_TEMPORAL_CLI_SHA256`: in place of the pinned checksum. */
  cliSha256?: string | undefined;
  /** False: only looks (1 to 3), obtains nothing. `anneal doctor` asks so. */
  obtain?: boolean | undefined;
  /** One line per call, at least every 2 s while something is obtained. */
  log: (line: string) => void;
  signal?: AbortSignal | undefined;
}

/** Why one of the five places gave no server, and the command that changes that. */
interface TemporalAttempt {
  source: TemporalSource;
  place: string;
  reason: string;
  fix: string;
}

/** None of the five places had a server; the message names all five with the command that fixes each. */
class TemporalNotFoundError extends Error {
  readonly attempts: readonly TemporalAttempt[];
  constructor(attempts: readonly TemporalAttempt[]) {
    super(describeAttempts(attempts));
    this.name = 'TemporalNotFoundError';
    this.attempts = attempts;
  }
}

/** The text of {@link TemporalNotFoundError}: two lines a place, in order. */
function describeAttempts(attempts: readonly TemporalAttempt[]): string {
  const lines = attempts.map(
    ({ source, place, reason, fix }) => `  (${source}) ${place}: ${reason}\n      fix: ${fix}`,
  );
  return `No Temporal server was found. Any one of these is enough:\n${lines.join('\n')}`;
}

/**
 * Finds or obtains a Temporal server: `TEMPORAL_ADDRESS`, `temporal` on PATH, the cache folder, the CLI download, a Go
 * build. Throws {@link TemporalNotFoundError}; where an address is set and does not do, the error names that alone.
 */
export async function findTemporal(options: FindTemporalOptions): Promise<FoundTemporal> {
  if (options.address !== undefined && options.address !== '') return atAddress(options);
  const attempts: TemporalAttempt[] = [
    {
      source: 1,
      place: 'TEMPORAL_ADDRESS',
      reason: 'not set',
      fix: 'TEMPORAL_ADDRESS=host:7233 npm start',
    },
  ];
  const steps = [onPath, inCache, ...(options.obtain === false ? [] : [byDownload, byBuild])];
  for (const step of steps) {
    const result = await step(options);
    if ('kind' in result) return result;
    attempts.push(result);
    options.signal?.throwIfAborted();
  }
  throw new TemporalNotFoundError(attempts);
}

async function atAddress(options: FindTemporalOptions): Promise<FoundTemporal> {
  const address = options.address ?? '';
  const refuse = (reason: string, fix: string) =>
    new TemporalNotFoundError([{ source: 1, place: `TEMPORAL_ADDRESS=${address}`, reason, fix }]);
  if (options.probeAddress === undefined)
    throw refuse('cannot be reached', 'unset TEMPORAL_ADDRESS');
  const serverVersion = await options.probeAddress(address).catch((error: unknown) => {
    throw refuse(
      `does not answer (${messageOf(error)})`,
      'start that cluster, or `unset TEMPORAL_ADDRESS` to use a local server',
    );
  });
  if (!isAtLeast(serverVersion, temporalPins.oldestServer)) {
    throw refuse(tooOld(serverVersion), 'upgrade that cluster, or `unset TEMPORAL_ADDRESS`');
  }
  return { source: 1, kind: 'address', address, serverVersion, uiVersion: undefined };
}

async function onPath(options: FindTemporalOptions): Promise<FoundTemporal | TemporalAttempt> {
  const missing = (reason: string): TemporalAttempt => ({
    source: 2,
    place: '`temporal` on PATH',
    reason,
    fix: '`brew install temporal`, or install the Temporal CLI another way, and put it on PATH',
  });
  for (const folder of (options.env['PATH'] ?? '').split(delimiter).filter(Boolean)) {
    const path = join(folder, 'temporal');
    if (!(await isExecutable(path))) continue;
    const versions = await versionsOf(path, options.env);
    if (versions === undefined) return missing(`${path} names no server version`);
    if (isAtLeast(versions.serverVersion, temporalPins.oldestServer)) {
      return { source: 2, kind: 'binary', path, ...versions };
    }
    return missing(`${path}: ${tooOld(versions.serverVersion)}`);
  }
  return missing('not there');
}

async function inCache(options: FindTemporalOptions): Promise<FoundTemporal | TemporalAttempt> {
  const cli = cliCachePath(options.cacheDir);
  const candidates = [cli, await devServerCachePath(options.cacheDir, options.devServerSource)];
  let reason = `nothing in ${options.cacheDir}`;
  for (const path of candidates.filter((candidate) => candidate !== undefined)) {
    if (!(await isExecutable(path))) continue;
    const versions = await versionsOf(path, options.env);
    if (versions?.serverVersion === temporalPins.server) {
      return { source: 3, kind: 'binary', path, ...versions };
    }
    reason = `${path} does not run, or is not server ${temporalPins.server}`;
  }
  return {
    source: 3,
    place: 'the pinned binary in the cache folder',
    reason,
    fix: `copy the binary of Temporal CLI ${temporalPins.cli} to ${cli}`,
  };
}

async function byDownload(options: FindTemporalOptions): Promise<FoundTemporal | TemporalAttempt> {
  return obtain(options, {
    source: 4,
    place: `the download of Temporal CLI ${temporalPins.cli}`,
    fix: 'allow HTTPS to github.com, then `npm start`',
    get: () => downloadCli(options),
  });
}

async function byBuild(options: FindTemporalOptions): Promise<FoundTemporal | TemporalAttempt> {
  return obtain(options, {
    source: 5,
    place: 'a build of tools/temporal-dev with Go',
    fix: `install Go ${temporalPins.oldestGo} or newer (https://go.dev/dl), then \`npm start\``,
    get: () => buildDevServer(options),
  });
}

interface Obtaining {
  source: 4 | 5;
  place: string;
  fix: string;
  get: () => Promise<string>;
}

async function obtain(
  options: FindTemporalOptions,
  { source, place, fix, get }: Obtaining,
): Promise<FoundTemporal | TemporalAttempt> {
  try {
    const path = await get();
    const versions = await versionsOf(path, options.env);
    if (versions !== undefined) return { source, kind: 'binary', path, ...versions };
    return { source, place, reason: `${path} does not run on this machine`, fix };
  } catch (error) {
    return { source, place, reason: messageOf(error), fix };
  }
}

async function versionsOf(
  path: string,
  env: FindTemporalOptions['env'],
): Promise<TemporalVersions | undefined> {
  const output = await promisify(execFile)(path, ['--version'], {
    env: { ...env },
    timeout: 20_000,
  }).catch(() => undefined);
  return output && parseVersionOutput(output.stdout);
}

async function isExecutable(path: string): Promise<boolean> {
  const found = await stat(path).catch(() => undefined);
  if (found?.isFile() !== true) return false;
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  );
}

const tooOld = (version: string) =>
  `server ${version} is older than ${temporalPins.oldestServer}, the oldest that Anneal accepts`;

const messageOf = (error: unknown) => (error instanceof Error ? error.message : String(error));
