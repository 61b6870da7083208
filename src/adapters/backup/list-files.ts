import { readdir } from 'node:fs/promises';
import { join } from 'node:path';

/**
 * Files below a folder by their paths in it, sorted; what `leaveOut` names is passed over, a folder as a whole. Empty where the
 * folder is not there. Of links only the name is given.
 */
export async function listFiles(
  folder: string,
  leaveOut: (path: string) => boolean = () => false,
): Promise<{ files: string[]; folders: string[] }> {
  const files: string[] = [];
  const folders: string[] = [];
  const enter = async (inside: string): Promise<void> => {
    const entries = await readdir(join(folder, inside), { withFileTypes: true }).catch(
      (error: unknown) => {
        if ((error as { code?: unknown }).code === 'ENOENT') return [];
        throw error;
      },
    );
    for (const entry of entries) {
      const path = inside === '' ? entry.name : `${inside}/${entry.name}`;
      if (leaveOut(path)) continue;
      if (entry.isDirectory()) {
        folders.push(path);
        await enter(path);
      } else files.push(path);
    }
  };
  await enter('');
  return { files: files.sort(), folders: folders.sort() };
}
