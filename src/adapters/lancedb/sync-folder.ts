import { open, readdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';

async function syncPath(path: string): Promise<void> {
  let handle;
  try {
    handle = await open(path, 'r');
    await handle.sync();
  } catch (error) {
    // Removed meanwhile: compaction tidies up in the same folder.
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  } finally {
    await handle?.close();
  }
}

/**
 * Makes the files of a table durable. LanceDB writes each file once and never calls fsync, so only those unknown to
 * `synced` are synced, with the folders that hold them; `synced` grows by what was.
 */
export async function syncFolder(folder: string, synced: Set<string>): Promise<void> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const present = new Set<string>();
  const fresh: string[] = [];
  for (const entry of entries) {
    const path = join(entry.parentPath, entry.name);
    present.add(path);
    // The hint is written in place; it only speeds up opening.
    if (entry.isFile() && !synced.has(path) && entry.name !== 'latest_version_hint.json')
      fresh.push(path);
  }
  await Promise.all(fresh.map(syncPath));
  const folders = new Set<string>();
  for (const path of fresh)
    for (let at = dirname(path); at.startsWith(folder); at = dirname(at)) folders.add(at);
  await Promise.all([...folders].map(syncPath));
  for (const path of synced) if (!present.has(path)) synced.delete(path);
  for (const path of fresh) synced.add(path);
}

/** Makes the entries of one folder durable. */
export const syncEntries = syncPath;
