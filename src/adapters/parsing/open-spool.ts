import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // EPERM: it is there, and somebody else's.
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}

/**
 * A folder in `parent` for documents on their way to a parser, which nobody else may read. Those of processes that were killed
 * go first: what lies in them may be personal data. Process ids say something on one host alone, and containers that share a
 * folder are several: the name begins with the host's.
 */
export async function openSpool(parent: string): Promise<string> {
  const prefix = `anneal-parse-${hostname()}-`;
  for (const name of await readdir(parent)) {
    if (!name.startsWith(prefix)) continue;
    const pid = /^(\d+)-/.exec(name.slice(prefix.length))?.[1];
    if (pid !== undefined && !isAlive(Number(pid)))
      // Where it is another account's, that account has to.
      await rm(join(parent, name), { recursive: true, force: true }).catch(() => undefined);
  }
  return mkdtemp(join(parent, `${prefix}${process.pid}-`));
}
