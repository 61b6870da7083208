import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { listFiles } from './list-files.js';
import { listBackups, readManifest } from './manifest-file.js';
import {
  openSealedFile,
  sealFile,
  SealedFileError,
  type FileKey,
  type FileKeys,
} from './sealed-file.js';

// What archived WAL names, beside the archive: artifacts that are in no backup yet, and the file of audit checkpoints.

const ARTIFACTS = 'artifacts';
const CHECKPOINTS = 'audit/checkpoints';

const missing = (error: unknown): undefined => {
  if ((error as { code?: unknown }).code === 'ENOENT') return undefined;
  throw error;
};

/** Unfinished uploads, and what runs have staged: a run that is started again stages it again. */
const isPassing = (path: string): boolean =>
  path.startsWith('.incoming') || path.split('/')[1] === 'staged';

/** Seals what is new of the state folder into a backup folder, so that it is there before the WAL that names it. */
export function createStateMirror({
  stateDir,
  backupDir,
}: {
  stateDir: string;
  backupDir: string;
}) {
  let newest: string | undefined;
  let held = new Set<string>();
  let checkpoints = '';
  /** @returns true where there is another newest backup, or none any more */
  const lookForBackup = async (): Promise<boolean> => {
    const found = (await listBackups(backupDir)).at(-1);
    if (found === newest) return false;
    // Of a backup that cannot be read nothing counts as held: shipping goes on.
    const inBackup =
      found === undefined
        ? []
        : await readManifest(found).then(
            ({ manifest }) => manifest.files,
            () => [],
          );
    const mirrored = await listFiles(join(backupDir, ARTIFACTS));
    held = new Set([
      ...inBackup.map(({ path }) => path),
      ...mirrored.files.map((path) => `${ARTIFACTS}/${path}`),
    ]);
    newest = found;
    return true;
  };
  const shipArtifacts = async (key: FileKey): Promise<void> => {
    // Without a backup nothing can be restored, and the first one holds all of them.
    if (newest === undefined) return;
    const { files } = await listFiles(join(stateDir, ARTIFACTS), isPassing);
    for (const path of files.map((file) => `${ARTIFACTS}/${file}`)) {
      if (held.has(path)) continue;
      await sealFile(join(stateDir, path), join(backupDir, path), { key, name: path });
      held.add(path);
    }
  };
  return {
    lookForBackup,
    shipArtifacts,
    /** Seals the file of checkpoints where it has grown: what was witnessed is known elsewhere, even without its WAL. */
    shipCheckpoints: async (key: FileKey): Promise<void> => {
      const from = join(stateDir, CHECKPOINTS);
      const found = await stat(from).catch(missing);
      const now = found === undefined ? '' : `${found.size} ${found.mtimeMs}`;
      if (now === checkpoints) return;
      await sealFile(from, join(backupDir, CHECKPOINTS), { key, name: CHECKPOINTS });
      checkpoints = now;
    },
  };
}

/** Where the mirror of checkpoints lies, and its size; undefined where nothing was mirrored. */
export async function findMirroredCheckpoints(
  backupDir: string,
): Promise<{ path: string; name: string; bytes: number } | undefined> {
  const path = join(backupDir, CHECKPOINTS);
  const found = await stat(path).catch(missing);
  return found && { path, name: CHECKPOINTS, bytes: found.size };
}

/** An artifact as rows name it, and its path in the folder of artifacts. */
interface NamedArtifact {
  ref: string;
  path: string;
}

/**
 * Brings artifacts that are not in the state folder from the mirror, or from any backup beside it.
 * @returns those that are nowhere, or that do not open
 */
export async function bringArtifacts(
  named: readonly NamedArtifact[],
  parts: { stateDir: string; backupDir: string; keys: FileKeys },
): Promise<string[]> {
  const { stateDir, backupDir, keys } = parts;
  const sources = [backupDir, ...(await listBackups(backupDir)).reverse()];
  const bring = async (name: string): Promise<boolean> => {
    const target = join(stateDir, name);
    if ((await stat(target).catch(missing)) !== undefined) return true;
    for (const source of sources) {
      try {
        await openSealedFile(join(source, name), target, { keys, name });
        return true;
      } catch (error) {
        // One that was changed is as good as missing: another backup may have it.
        if (!(error instanceof SealedFileError)) missing(error);
      }
    }
    return false;
  };
  const lacking: string[] = [];
  for (const { ref, path } of named) if (!(await bring(`${ARTIFACTS}/${path}`))) lacking.push(ref);
  return lacking;
}
