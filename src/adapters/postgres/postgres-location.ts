import { createHash } from 'node:crypto';
import { basename, dirname } from 'node:path';

/** A system account that a process can run as. */
export interface Account {
  name: string;
  uid: number;
  gid: number;
}

/** Where the binaries and the cluster of the embedded Postgres are, and as whom it runs. */
export interface PostgresLocation {
  /** Holds `bin`, `lib` and `share`. */
  nativeDir: string;
  /** Holds `cluster`, the data folder. */
  folder: string;
  clusterDir: string;
  /** Undefined: as the user of this process, which is not root. */
  account: Account | undefined;
  /** True where `folder` lies outside the state folder. */
  relocated: boolean;
}

/** The facts of a folder that decide who may pass through it. */
export interface FolderFacts {
  uid: number;
  gid: number;
  mode: number;
}

/**
 * True where the account may search the folder (POSIX.1-2017 §4.5: the first class that matches decides, so an owner
 * without the bit is refused although others have it). Access control lists are not read.
 */
export function canSearch(account: Pick<Account, 'uid' | 'gid'>, folder: FolderFacts): boolean {
  if (account.uid === folder.uid) return (folder.mode & 0o100) !== 0;
  if (account.gid === folder.gid) return (folder.mode & 0o010) !== 0;
  return (folder.mode & 0o001) !== 0;
}

/** Every folder from the root down to and including `path`, which is absolute. */
export function foldersTo(path: string): string[] {
  const parent = dirname(path);
  return parent === path ? [path] : [...foldersTo(parent), path];
}

/**
 * The name of the folder under the persistent temporary folder that belongs to a clone: the first 12 hex digits of the
 * SHA-256 of its path. The clone is the folder that holds `.anneal`; a state folder of another name stands for itself,
 * so that two of them in one clone do not share a cluster.
 */
export function relocatedFolderName(stateDir: string): string {
  const clone = basename(stateDir) === '.anneal' ? dirname(stateDir) : stateDir;
  return `anneal-${createHash('sha256').update(clone).digest('hex').slice(0, 12)}`;
}
