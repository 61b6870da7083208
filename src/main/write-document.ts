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

/** A Markdown table whose columns are as wide as their widest cell; the first row is its head. */
export function markdownTable(rows: string[][]): string {
  const widths = (rows[0] ?? []).map((_, column) =>
    Math.max(3, ...rows.map((row) => row[column]?.length ?? 0)),
  );
  const line = (cells: string[]) =>
    `| ${cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |`;
  const [head = [], ...body] = rows;
  return [line(head), line(widths.map((width) => '-'.repeat(width))), ...body.map(line)].join('\n');
}
