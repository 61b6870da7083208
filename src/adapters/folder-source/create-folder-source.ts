import { constants } from 'node:fs';
import { open, readdir, realpath, stat } from 'node:fs/promises';
import { basename, join, sep } from 'node:path';
import { PlatformError } from '../../domain/errors.js';
import { mediaTypeOf } from '../../domain/etl/media-type-of.js';
import type { SourceFacts } from '../../domain/etl/ledger.js';
import type { ListedDocument, PullSource, SourcePage } from '../../domain/etl/scan.js';

const MAX_DOCUMENT_BYTES = 64 * 1024 * 1024;

/** The system's error code, such as `ENOENT`; empty for other failures. */
const codeOf = (error: unknown): string => {
  const code: unknown =
    typeof error === 'object' && error !== null && 'code' in error ? error.code : '';
  return typeof code === 'string' ? code : '';
};

/** The token of a file: mtime in nanoseconds and size. */
export const tokenOf = (found: { mtimeNs: bigint; size: bigint }): string =>
  `${found.mtimeNs}-${found.size}`;

/** The real path of a source's folder. @throws SOURCE_CONFIG_INVALID outside the roots, SOURCE_UNAVAILABLE where it is not there */
export async function folderOf(roots: readonly string[], source: SourceFacts): Promise<string> {
  const path: unknown = source.config['path'];
  if (typeof path !== 'string' || path === '')
    throw new PlatformError('SOURCE_CONFIG_INVALID', 'The source names no folder.');
  const real = await realpath(path).catch((error: unknown) => {
    throw new PlatformError('SOURCE_UNAVAILABLE', 'The folder of the source cannot be read.', {
      internal: codeOf(error),
    });
  });
  for (const root of roots) {
    const allowed = await realpath(root).catch(() => undefined);
    if (allowed === real || (allowed !== undefined && real.startsWith(join(allowed, sep))))
      return real;
  }
  throw new PlatformError(
    'SOURCE_CONFIG_INVALID',
    'The folder is in none of the roots that this installation allows.',
  );
}

/**
 * Relative paths of all regular files of a type that is read, `/` between their parts. Links, hidden files and folders,
 * and what is no document by its name (images, archives) are left out.
 */
async function walk(
  folder: string,
  signal: AbortSignal,
): Promise<{ paths: string[]; complete: boolean }> {
  const paths: string[] = [];
  let complete = true;
  const open = [''];
  for (let under = open.pop(); under !== undefined; under = open.pop()) {
    signal.throwIfAborted();
    const entries = await readdir(join(folder, under), { withFileTypes: true }).catch(
      (error: unknown) => {
        // A folder that went meanwhile is gone; one that may not be read hides what it holds.
        if (codeOf(error) !== 'ENOENT' || under === '') complete = false;
        return [];
      },
    );
    for (const entry of entries) {
      if (entry.name.startsWith('.')) continue;
      const path = under === '' ? entry.name : `${under}/${entry.name}`;
      if (entry.isDirectory()) open.push(path);
      else if (entry.isFile() && mediaTypeOf({ names: [entry.name] }) !== undefined)
        paths.push(path);
    }
  }
  return { paths: paths.sort(), complete };
}

async function list(folder: string, page: Parameters<PullSource['list']>[1]): Promise<SourcePage> {
  const { cursor, maxEntries, maxBytes, signal } = page;
  let { paths, complete } = await walk(folder, signal);
  if (cursor !== undefined) paths = paths.filter((path) => path > cursor);
  const entries: ListedDocument[] = [];
  let bytes = 0;
  let last: string | undefined;
  for (const path of paths) {
    if (entries.length >= maxEntries || bytes > maxBytes)
      return { entries, cursor: last, complete };
    last = path;
    try {
      const found = await stat(join(folder, path), { bigint: true });
      entries.push({ naturalKey: path, token: tokenOf(found), bytes: Number(found.size) });
      bytes += path.length + 64;
    } catch (error) {
      if (codeOf(error) !== 'ENOENT') complete = false;
    }
  }
  return { entries, cursor: undefined, complete };
}

const refused = (message: string): PlatformError => new PlatformError('DOCUMENT_REFUSED', message);

async function read(folder: string, naturalKey: string): ReturnType<PullSource['read']> {
  const path = join(folder, naturalKey);
  const real = await realpath(path).catch((error: unknown) => {
    if (codeOf(error) === 'ENOENT' || codeOf(error) === 'ENOTDIR') return undefined;
    throw new PlatformError('SOURCE_UNAVAILABLE', 'The document cannot be read.', {
      internal: codeOf(error),
    });
  });
  if (real === undefined) return undefined;
  if (real !== path || !real.startsWith(join(folder, sep)))
    throw refused('The document is a link or lies outside its folder.');
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW).catch(
    (error: unknown) => {
      if (codeOf(error) === 'ENOENT') return undefined;
      if (codeOf(error) === 'ELOOP') throw refused('The document is a link.');
      throw new PlatformError('SOURCE_UNAVAILABLE', 'The document cannot be read.', {
        internal: codeOf(error),
      });
    },
  );
  if (file === undefined) return undefined;
  try {
    // The token is that of the bytes which are read: a write in between gives another one at the next look.
    const found = await file.stat({ bigint: true });
    if (!found.isFile()) throw refused('The document is not a file.');
    if (found.size > MAX_DOCUMENT_BYTES) throw refused('The document is larger than 64 MiB.');
    const bytes = await file.readFile();
    return { name: basename(path), token: tokenOf(found), bytes };
  } finally {
    await file.close();
  }
}

/**
 * Pull source over local folders. Natural key: the path below the folder, `/` between its parts; token: mtime in
 * nanoseconds and size. A page begins after the path that the cursor names, in code unit order, so that files which come
 * or go between two pages never shift the rest.
 * @param options.roots folders that sources may lie in; none: every source is refused
 */
export const createFolderSource = ({ roots }: { roots: readonly string[] }): PullSource => ({
  list: async (source, page) => list(await folderOf(roots, source), page),
  read: async (source, naturalKey) => read(await folderOf(roots, source), naturalKey),
});
