import { mkdir, readdir, readFile, realpath, symlink, writeFile } from 'node:fs/promises';
import { stripTypeScriptTypes } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));
/** What processes under chaos are made of. */
const compiled = ['src', 'test/chaos', 'test/support'];

async function strip(file: string, folder: string): Promise<void> {
  const code = await readFile(join(root, file), 'utf8');
  const target = join(folder, file.replace(/\.ts$/, '.js'));
  await mkdir(dirname(target), { recursive: true });
  await writeFile(target, stripTypeScriptTypes(code, { mode: 'transform' }));
}

/**
 * The product and the harness without their types, everything else beside it as it is: a process that is killed two
 * hundred times then loads in half of the time. Lines stay where they were.
 */
export async function writeStrippedTree(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  for (const name of await readdir(root))
    if (name !== 'src' && name !== 'test')
      await symlink(await realpath(join(root, name)), join(folder, name));
  for (const part of compiled)
    for (const entry of await readdir(join(root, part), { recursive: true, withFileTypes: true })) {
      if (!entry.isFile() || !entry.name.endsWith('.ts') || entry.name.endsWith('.test.ts'))
        continue;
      await strip(join(entry.parentPath, entry.name).slice(root.length), folder);
    }
}
