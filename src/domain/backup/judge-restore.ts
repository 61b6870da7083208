import type { BackupManifest, LostEntries } from './contract.js';

/** What a restore would meet. */
interface RestoreSituation {
  manifest: Pick<BackupManifest, 'stoppedAt' | 'schema'>;
  /** Milliseconds since the epoch; undefined: as far as WAL reaches. */
  atMs: number | undefined;
  nowMs: number;
  /** The migrations of this build, in order. */
  knownMigrations: readonly string[];
  /** The state folder holds a database. */
  targetHasDatabase: boolean;
  replace: boolean;
}

/** Why a restore is refused, each reason with what to do; empty where it may begin. */
export function restoreRefusals(situation: RestoreSituation): string[] {
  const { manifest, atMs, nowMs } = situation;
  const refusals: string[] = [];
  if (situation.targetHasDatabase && !situation.replace)
    refusals.push(
      'the state folder holds a database: give --replace to set it aside, or --to another folder',
    );
  if (atMs !== undefined && atMs < Date.parse(manifest.stoppedAt))
    refusals.push(
      `the backup is complete from ${manifest.stoppedAt} on: for an earlier time take an earlier backup`,
    );
  if (atMs !== undefined && atMs > nowMs)
    refusals.push('--at lies in the future: leave it out to restore as far as WAL reaches');
  if (!situation.knownMigrations.includes(manifest.schema.version))
    refusals.push(
      `the backup has schema ${manifest.schema.version}, which this build does not know: take the build that wrote it, or a newer one`,
    );
  return refusals;
}

/** What was last witnessed of a chain, and where it ends now. */
interface WitnessedChain {
  tenant: string;
  /** Entries that are there. */
  size: number;
  witnessed: { size: number; at: string } | undefined;
}

/** The entries of each chain that were witnessed and did not come back. */
export const lostEntries = (chains: readonly WitnessedChain[]): LostEntries[] =>
  chains.flatMap(({ tenant, size, witnessed }) =>
    witnessed === undefined || witnessed.size <= size
      ? []
      : [{ tenant, from: size + 1, to: witnessed.size, witnessedAt: witnessed.at }],
  );
