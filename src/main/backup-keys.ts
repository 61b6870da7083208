import { fileKeyOf, type FileKey, type FileKeys } from '../adapters/backup/sealed-file.js';
import { readBackupKeys } from '../adapters/secrets/file-provider.js';
import type { KeyVersion } from '../domain/secrets.js';

/** What files are sealed with under a version of the backup key. */
export const toFileKey = ({ version, key }: KeyVersion): FileKey => ({
  version,
  key: fileKeyOf(key.reveal()),
});

/** What sealed files open with: every version of the backup key in a folder. */
export const readFileKeys = async (folder: string): Promise<FileKeys> =>
  new Map((await readBackupKeys(folder)).map(toFileKey).map(({ version, key }) => [version, key]));
