import { randomBytes } from 'node:crypto';
import { link, mkdir, open, readFile, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { syncEntries } from './sync-folder.js';

/** What a generation's folder says about itself. Its change is one rename: readers see the old or the new. */
export interface GenerationFile {
  embedFp: string;
  dims: number;
  /** Name of the table that holds the rows; erasure replaces it. */
  table: string;
  /** Highest lease epoch that wrote. */
  epoch: string;
}

const path = (folder: string) => join(folder, 'generation.json');

const isMissing = (error: unknown) => (error as NodeJS.ErrnoException).code === 'ENOENT';

/** Changes whenever the file does; undefined where there is none. */
export async function generationStamp(folder: string): Promise<string | undefined> {
  try {
    const { ino, mtimeNs, size } = await stat(path(folder), { bigint: true });
    return `${ino}.${mtimeNs}.${size}`;
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

/** The file, or undefined where the generation does not exist. */
export async function readGenerationFile(folder: string): Promise<GenerationFile | undefined> {
  try {
    return JSON.parse(await readFile(path(folder), 'utf8')) as GenerationFile;
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

async function writeTemporary(folder: string, content: GenerationFile): Promise<string> {
  await mkdir(folder, { recursive: true });
  const temporary = `${path(folder)}.${randomBytes(6).toString('hex')}.tmp`;
  const handle = await open(temporary, 'wx');
  try {
    await handle.writeFile(JSON.stringify(content));
    await handle.sync();
  } finally {
    await handle.close();
  }
  return temporary;
}

/** Writes the first file of a generation. False where another process was faster. */
export async function createGenerationFile(
  folder: string,
  content: GenerationFile,
): Promise<boolean> {
  const temporary = await writeTemporary(folder, content);
  try {
    await link(temporary, path(folder));
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  } finally {
    await rm(temporary, { force: true });
    await syncEntries(folder);
  }
}

/** Replaces the file, durably. */
export async function replaceGenerationFile(
  folder: string,
  content: GenerationFile,
): Promise<void> {
  await rename(await writeTemporary(folder, content), path(folder));
  await syncEntries(folder);
}
