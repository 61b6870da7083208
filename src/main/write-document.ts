import { readFile, writeFile } from 'node:fs/promises';
import { projectFolder } from './project-folder.js';

/**
 * Writes a document that is made from code; with `--check` on the command line it only compares, and a difference is exit
 * code 1.
 * @param of.path from the project folder
 * @param of.command what makes it again
 */
export async function writeDocument(
  text: string,
  of: { path: string; command: string },
): Promise<void> {
  const path = projectFolder(of.path);
  if (!process.argv.includes('--check')) {
    await writeFile(path, text);
    console.log(`wrote ${path}`);
    return;
  }
  if ((await readFile(path, 'utf8').catch(() => '')) === text) return;
  console.error(`${of.path} is not what the code says: run \`${of.command}\``);
  process.exitCode = 1;
}
