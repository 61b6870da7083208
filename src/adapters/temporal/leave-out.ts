import { execFile } from 'node:child_process';
import { copyFile, mkdir, readFile, readdir, writeFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { promisify } from 'node:util';

/** Where a build works, and with what. */
export interface BuildPlace {
  /** The folder of tools/temporal-dev. */
  source: string;
  /** An empty folder of this build. */
  scratch: string;
  env: Readonly<Record<string, string | undefined>>;
}

/**
 * Prepares a build without the parts that `left-out.json` names: drivers that start workers in clouds and clusters, which a dev
 * server never does, register themselves and bring a third of all that would be compiled. Modules of the cache may not be
 * changed, so each is copied without those files, and a go.mod of the build's own points at the copies.
 * @returns the arguments of `go build` that name this go.mod
 * @throws Error where a module cannot be had
 */
export async function leaveOut({ source, scratch, env }: BuildPlace): Promise<string[]> {
  const leftOut = JSON.parse(await readFile(join(source, 'left-out.json'), 'utf8')) as Record<
    string,
    string[]
  >;
  const replaced: string[] = [];
  for (const [at, [module, files]] of Object.entries(leftOut).entries()) {
    const copy = join(scratch, String(at));
    await copyWithout(await folderOf(module, { source, env }), copy, new Set(files));
    replaced.push(`replace ${module} => ${copy}`);
  }
  const [mod, sum] = await Promise.all(
    ['go.mod', 'go.sum'].map((name) => readFile(join(source, name), 'utf8')),
  );
  const modFile = join(scratch, 'go.mod');
  await writeFile(modFile, `${mod}\n${replaced.join('\n')}\n`);
  await writeFile(join(scratch, 'go.sum'), sum ?? '');
  return ['-modfile', modFile];
}

/** The folder of a module in the module cache, fetched where it is not there. */
async function folderOf(
  module: string,
  { source, env }: Pick<BuildPlace, 'source' | 'env'>,
): Promise<string> {
  const { stdout } = await promisify(execFile)('go', ['mod', 'download', '-json', module], {
    env: { ...env },
    cwd: source,
  });
  return (JSON.parse(stdout) as { Dir: string }).Dir;
}

/** File by file: the folders of the module cache are read-only, and a copy of one could not be removed. */
async function copyWithout(from: string, to: string, files: ReadonlySet<string>): Promise<void> {
  for (const entry of await readdir(from, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    const name = relative(from, path);
    if (!entry.isFile() || name.endsWith('_test.go') || files.has(name)) continue;
    await mkdir(dirname(join(to, name)), { recursive: true });
    await copyFile(path, join(to, name));
  }
}
