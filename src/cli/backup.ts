import type { Command } from 'commander';
import type { BackupCreated, BackupRestored, BackupVerified } from '../domain/backup/contract.js';
import type { CliDeps } from './cli-deps.js';
import { outputOf, type GlobalOptions } from './output-of.js';
import { UsageError } from './usage-error.js';

interface BackupOptions extends GlobalOptions {
  to?: string;
  at?: string;
  keys?: string;
  inPlace?: boolean;
  replace?: boolean;
}

const MIB = 1_048_576;
const sizeOf = (bytes: number): string => `${(bytes / MIB).toFixed(1)} MiB`;
const secondsOf = (ms: number): string => `${(ms / 1_000).toFixed(1)} s`;

const created = (made: BackupCreated): string[] => [
  `backup ${made.backupId}`,
  `  folder   ${made.folder}`,
  `  holds    ${made.files} files, ${sizeOf(made.bytes)}, encrypted`,
  `  WAL      ${made.startLsn} to ${made.stopLsn}`,
  `  complete ${made.stoppedAt}, schema ${made.schema}`,
  `  took     ${secondsOf(made.durationMs)}`,
  'The keys are not in it: keep a copy of the folder `keys` elsewhere.',
];

const verified = (found: BackupVerified): string[] => [
  found.fault === null
    ? `✓ ${found.backupId}: ${found.files} files, ${sizeOf(found.bytes)}, all as they were written`
    : `✗ ${found.backupId}: ${found.fault.path} ${found.fault.detail}`,
  `  ${found.archivedWal} WAL files are archived beyond it; a restore would end with ${found.walEnd}`,
];

const restored = (done: BackupRestored): string[] => [
  `restored ${done.backupId} into ${done.stateDir} (${done.restorationId})`,
  ...done.steps.map((step) => `  ${step}`),
  ...done.lost.map(
    ({ tenant, from, to, witnessedAt }) =>
      `  lost: entries ${from} to ${to} of the audit chain of ${tenant}, the last witnessed at ${witnessedAt}`,
  ),
  ...done.findings.map((finding) => `  ✗ ${finding}`),
  ...(done.setAside === null ? [] : [`  the former database is in ${done.setAside}`]),
  `  took ${secondsOf(done.durationMs)}`,
  'Start it with `npm start`; `anneal divergences list` says what was reconciled.',
];

function atOf(text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  const ms = Date.parse(text);
  if (Number.isNaN(ms))
    throw new UsageError(`--at: “${text}” is no ISO time such as 2026-01-31T12:00:00Z`);
  return new Date(ms).toISOString();
}

/** A refusal of the work itself: one line, exit code 1. */
async function printed<T>(
  { io }: Pick<CliDeps, 'io'>,
  work: () => Promise<T>,
  show: (result: T) => string,
): Promise<T | undefined> {
  try {
    const result = await work();
    io.out(show(result));
    return result;
  } catch (error) {
    if (error instanceof UsageError) throw error;
    io.err(error instanceof Error ? error.message : String(error));
    return undefined;
  }
}

/** How a command prints its result. */
const formOf =
  <T>(deps: CliDeps, command: Command, lines: (result: T) => string[]) =>
  (result: T): string =>
    outputOf(deps, command.optsWithGlobals<BackupOptions>()) === 'json'
      ? JSON.stringify(result, null, 2)
      : lines(result).join('\n');

function addRestore(
  parent: Command,
  deps: CliDeps,
  run: (work: () => Promise<number>) => Promise<void>,
): void {
  const restore = parent
    .command('restore')
    .summary('Restore a backup while the platform is stopped')
    .description(
      'Recovers the database, proves the audit chains, raises every epoch; the next start reconciles Temporal before it serves.',
    )
    .argument('[folder]', 'folder of the backup; the newest of ANNEAL_BACKUP_DIR by default')
    .option('--to <folder>', 'state folder to restore to')
    .option('--in-place', 'restores into the configured state folder')
    .option('--at <time>', 'point in time, ISO 8601; as far as archived WAL reaches by default')
    .option('--keys <folder>', 'folder of the kept keys; those of the state folder by default')
    .option('--replace', 'sets a database that is there aside');
  restore.addHelpText(
    'after',
    '\nExample:\n  $ anneal backup restore --in-place --replace --at 2026-01-31T12:00:00Z',
  );
  restore.action(() =>
    run(async () => {
      const given = restore.opts<BackupOptions>();
      if ((given.to === undefined) === (given.inPlace !== true))
        throw new UsageError('say where to: --to <folder> or --in-place');
      const { to, keys, replace = false } = given;
      const at = atOf(given.at);
      const request = { folder: restore.args[0], to, at, keys, replace };
      const show = formOf(deps, restore, restored);
      const done = await printed(deps, () => deps.backup.restore(request, deps.io.err), show);
      return done?.findings.length === 0 ? 0 : 1;
    }),
  );
}

/** Adds `backup create`, `verify` and `restore`: of the bundled Postgres, on this machine. */
export function addBackupCommands(
  program: Command,
  deps: CliDeps,
  run: (work: () => Promise<number>) => Promise<void>,
): void {
  const parent = program.command('backup').summary('create, verify, restore');
  const create = parent
    .command('create')
    .summary('Back up a running installation')
    .description(
      'Backs up the bundled Postgres, artifacts and audit checkpoints, encrypted; keys and Temporal are left out.',
    )
    .option('--to <folder>', 'folder of the backups; ANNEAL_BACKUP_DIR by default');
  create.addHelpText('after', '\nExample:\n  $ anneal backup create --to /mnt/backups');
  create.action(() =>
    run(async () => {
      const { to } = create.opts<BackupOptions>();
      const show = formOf(deps, create, created);
      return (await printed(deps, () => deps.backup.create(to), show)) === undefined ? 1 : 0;
    }),
  );
  const verify = parent
    .command('verify')
    .summary('Read a backup again, byte by byte')
    .description(
      'Compares every file with the manifest and the manifest with its MAC, opens archived WAL and looks for gaps in it.',
    )
    .argument('[folder]', 'folder of the backup; the newest of ANNEAL_BACKUP_DIR by default')
    .option('--keys <folder>', 'folder of the kept keys; those of this installation by default');
  verify.addHelpText('after', '\nExample:\n  $ anneal backup verify /mnt/backups/bkp_01K…');
  verify.action(() =>
    run(async () => {
      const { keys } = verify.opts<BackupOptions>();
      const show = formOf(deps, verify, verified);
      const found = await printed(deps, () => deps.backup.verify(verify.args[0], keys), show);
      return found?.status === 'intact' ? 0 : 1;
    }),
  );
  addRestore(parent, deps, run);
}
