import { createHash } from 'node:crypto';
import { copyFile, mkdir, readFile, readdir, rename, rm, stat } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { projectFolder } from './project-folder.js';

/** Bundles that are kept: those of the branches one goes back and forth between. */
const KEPT = 4;
const NAME = 'workflow-bundle.js';

const extension = extname(fileURLToPath(import.meta.url));
const sourceFolder = fileURLToPath(new URL('..', import.meta.url));

/** Everything that a bundle depends on: what workflows may import, how they are bundled, and the packages. */
async function digestOfSources(): Promise<string> {
  const folders = await Promise.all(
    ['workflows', 'domain'].map((name) =>
      readdir(join(sourceFolder, name), { recursive: true, withFileTypes: true }),
    ),
  );
  const paths = folders
    .flat()
    .filter((entry) => entry.isFile() && extname(entry.name) === extension)
    .map((entry) => join(entry.parentPath, entry.name));
  const bundler = ['workflow-bundle', 'telemetry'].map((name) =>
    join(sourceFolder, 'main', `${name}${extension}`),
  );
  const digest = createHash('sha256');
  for (const path of [...paths.sort(), ...bundler, projectFolder('package-lock.json')])
    digest.update(`${path.slice(sourceFolder.length)}\0`).update(await readFile(path));
  return digest.digest('hex').slice(0, 16);
}

/** Removes all but the newest. */
async function prune(folder: string): Promise<void> {
  const names = await readdir(folder);
  const dated = await Promise.all(
    names.map(async (name) => ({ name, at: (await stat(join(folder, name))).mtimeMs })),
  );
  const old = dated.sort((a, b) => b.at - a.at).slice(KEPT);
  for (const { name } of old) await rm(join(folder, name), { recursive: true, force: true });
}

async function copyAll(from: string, to: string): Promise<void> {
  for (const name of await readdir(from)) await copyFile(join(from, name), join(to, name));
}

/**
 * Writes the workflow bundles into `folder`: those of the cache folder where the sources have not changed since, else new
 * ones, which takes seconds of two cores.
 * @returns the path for `ANNEAL_WORKFLOW_BUNDLE`
 */
export async function obtainWorkflowBundles(folder: string, cacheDir: string): Promise<string> {
  const kept = join(cacheDir, 'workflow-bundles');
  const cached = join(kept, await digestOfSources());
  const isThere = await stat(cached).then(
    () => true,
    () => false,
  );
  if (isThere) await copyAll(cached, folder);
  else {
    // The bundler takes a second to load: only where it is needed.
    const { writeWorkflowBundles } = await import('./workflow-bundle.js');
    const fresh = `${cached}.${process.pid}.tmp`;
    await mkdir(fresh, { recursive: true });
    await writeWorkflowBundles(join(fresh, NAME));
    await copyAll(fresh, folder);
    // Another start may have been faster.
    await rename(fresh, cached).catch(() => rm(fresh, { recursive: true, force: true }));
    await prune(kept);
  }
  return join(folder, NAME);
}
