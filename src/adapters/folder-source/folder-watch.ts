import { watch as watchPath } from 'node:fs';
import { lstat, realpath } from 'node:fs/promises';
import { join, sep } from 'node:path';
import type { SourceFacts } from '../../domain/etl/ledger.js';
import { folderOf, tokenOf } from './create-folder-source.js';

/**
 * Hints of what changes in local folders, by the system's notices. They may come late, twice or not at all: what they say
 * is looked at again, and a listing finds what they miss.
 * @param options.roots folders that sources may lie in
 */
export const createFolderWatch = ({ roots }: { roots: readonly string[] }) => ({
  /**
   * Watches a folder and everything below until the signal aborts. `path` is relative with `/` between its parts;
   * undefined: the system does not say.
   * @throws SOURCE_CONFIG_INVALID, SOURCE_UNAVAILABLE, and the system's error where watching ends by itself
   */
  watch: async (
    source: SourceFacts,
    handlers: { ready: () => void; changed: (path: string | undefined) => void },
    signal: AbortSignal,
  ): Promise<void> => {
    const folder = await folderOf(roots, source);
    if (signal.aborted) return;
    await new Promise<void>((resolve, reject) => {
      const watcher = watchPath(folder, { recursive: true, persistent: false });
      watcher
        .on('change', (_event, name) =>
          handlers.changed(typeof name === 'string' ? name.replaceAll(sep, '/') : undefined),
        )
        .on('error', (error) => {
          watcher.close();
          reject(error);
        })
        .on('close', () => resolve());
      signal.addEventListener('abort', () => watcher.close(), { once: true });
      handlers.ready();
    });
  },
  /** A file as it is now, with the token that a listing gives it; undefined for what is gone, a link or no file. */
  look: async (
    source: SourceFacts,
    naturalKey: string,
  ): Promise<{ token: string; bytes: number } | undefined> => {
    const path = join(await folderOf(roots, source), naturalKey);
    const found = await lstat(path, { bigint: true }).catch(() => undefined);
    if (found?.isFile() !== true) return undefined;
    // A folder on the way may be a link by now.
    if ((await realpath(path).catch(() => undefined)) !== path) return undefined;
    return { token: tokenOf(found), bytes: Number(found.size) };
  },
});
