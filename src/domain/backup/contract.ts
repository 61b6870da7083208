import { z } from 'zod';

const fileSchema = z.strictObject({
  /** Inside the backup's folder, with `/`. */
  path: z.string().min(1),
  /** SHA-256 of the stored bytes, hex. */
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
  /** Stored bytes. */
  bytes: z.int().nonnegative(),
});
/** One stored file of a backup. */
export type BackupFile = z.infer<typeof fileSchema>;

/** What a backup is: written last, so that a backup without it is none. */
export const backupManifestSchema = z.strictObject({
  v: z.literal(1),
  backupId: z.string(),
  /** When it was begun and when the database had all that it holds; UTC, ISO 8601. */
  startedAt: z.iso.datetime(),
  stoppedAt: z.iso.datetime(),
  postgres: z.strictObject({
    version: z.string(),
    startLsn: z.string(),
    stopLsn: z.string(),
    /** First and last WAL segment that a restore needs. */
    firstWal: z.string(),
    lastWal: z.string(),
  }),
  schema: z.strictObject({
    /** The newest migration, how many there are, and the digest over all of them. */
    version: z.string(),
    count: z.int(),
    digest: z.string(),
  }),
  /** Where the audit chains ended when the backup was complete. */
  audit: z.array(z.strictObject({ tenant: z.string(), size: z.int(), headHash: z.string() })),
  /** Version of the key that the files are encrypted with. */
  keyVersion: z.int(),
  /** Digest of each key file that a restored installation needs; the keys themselves are kept apart. */
  keys: z.array(z.strictObject({ path: z.string(), sha256: z.string() })),
  /** Folders of the cluster, the empty ones too. */
  folders: z.array(z.string()),
  files: z.array(fileSchema),
  bytes: z.int(),
});
export type BackupManifest = z.infer<typeof backupManifestSchema>;

/** What `backup create` says. */
export interface BackupCreated {
  folder: string;
  backupId: string;
  files: number;
  bytes: number;
  startLsn: string;
  stopLsn: string;
  stoppedAt: string;
  schema: string;
  durationMs: number;
}

/** What `backup verify` says; `fault` names the first bad file. */
export interface BackupVerified {
  folder: string;
  backupId: string;
  status: 'intact' | 'broken';
  files: number;
  bytes: number;
  /** WAL that reaches beyond the backup; 0 where nothing is archived. */
  archivedWal: number;
  /** The segment that a restore as far as WAL reaches would end with. */
  walEnd: string;
  /** Inside the backup's folder, or `../wal/…` for archived WAL. */
  fault: { path: string; detail: string } | null;
}

/** Entries of an audit chain that a restore lost: they were witnessed and are not in the database any more. */
export interface LostEntries {
  tenant: string;
  from: number;
  to: number;
  /** When the last of them was witnessed. */
  witnessedAt: string;
}

/** What `backup restore` says. */
export interface BackupRestored {
  restorationId: string;
  backupId: string;
  stateDir: string;
  /** The newest transaction that came back. */
  recoveredTo: string;
  /** Chains that verified, with their size. */
  audit: { tenant: string; size: number; verified: number }[];
  lost: LostEntries[];
  /** Pointers whose epoch was raised. */
  epochs: number;
  /** The last segment of WAL that was there to be read. */
  walEnd: string;
  /** Artifacts that rows name and that neither the disk nor any backup has, such as `acme/sha256/<hex>`. */
  missingArtifacts: string[];
  /** What did not come back as it was asked for, a sentence each; the exit code is 1 where there is any. */
  findings: string[];
  /** Where the database that was there before now lies. */
  setAside: string | null;
  steps: string[];
  durationMs: number;
}

/** What a restore is asked to do. */
export interface RestoreRequest {
  /** The backup's folder. */
  folder: string;
  /** State folder to restore to; undefined: the one that is configured. */
  to: string | undefined;
  /** UTC, ISO 8601; undefined: as far as WAL reaches. */
  at: string | undefined;
  /** Folder of the keys; undefined: `keys` of the state folder. */
  keys: string | undefined;
  /** Allows a state folder that holds a database already: it is set aside. */
  replace: boolean;
}
