import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { MAX_DOCUMENT_BYTES } from '../../domain/etl/document-requests.js';
import { mediaTypeOf } from '../../domain/etl/media-type-of.js';
import { UsageError } from '../usage-error.js';

/** The files of a folder, as an upload sees them. */
export interface FolderFiles {
  /** Paths below the folder, `/` between their parts, in code unit order. */
  keys: string[];
  /** What is left out, and why. */
  skipped: { key: string; why: string }[];
}

/** Why a file is not sent; undefined where it is. */
async function whyNot(folder: string, key: string): Promise<string | undefined> {
  if (mediaTypeOf({ names: [key] }) === undefined) return 'not a type that is read';
  const { size } = await stat(join(folder, key));
  if (size > MAX_DOCUMENT_BYTES) return 'larger than 64 MiB';
  return size === 0 ? 'empty' : undefined;
}

/**
 * Lists all regular files below a folder; links are not followed, as the server does not follow them.
 * @throws UsageError where a folder cannot be read: what it holds would be missed in silence
 */
export async function walkFolder(folder: string): Promise<FolderFiles> {
  const keys: string[] = [];
  const skipped: FolderFiles['skipped'] = [];
  const open = [''];
  for (let under = open.pop(); under !== undefined; under = open.pop()) {
    const place = join(folder, under);
    const entries = await readdir(place, { withFileTypes: true }).catch((error: unknown) => {
      const { code } = error as NodeJS.ErrnoException;
      throw new UsageError(`${place} cannot be read (${String(code)}).`);
    });
    for (const entry of entries) {
      const key = under === '' ? entry.name : `${under}/${entry.name}`;
      if (entry.isDirectory()) open.push(key);
      else if (entry.isSymbolicLink()) skipped.push({ key, why: 'a link' });
      else if (entry.isFile()) {
        const why = await whyNot(folder, key);
        if (why === undefined) keys.push(key);
        else skipped.push({ key, why });
      }
    }
  }
  return { keys: keys.sort(), skipped: skipped.sort((a, b) => (a.key < b.key ? -1 : 1)) };
}
