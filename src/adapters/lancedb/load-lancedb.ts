import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { env } from 'node:process';
import type * as Arrow from 'apache-arrow';
import type * as Lancedb from '@lancedb/lancedb';

export type LanceModule = typeof Lancedb;
export type ArrowModule = typeof Arrow;

let loaded: Promise<{ lance: LanceModule; arrow: ArrowModule }> | undefined;

/**
 * LanceDB with the Arrow it was built with, loaded once. Its thread pool reads the environment when it starts and hangs
 * for ever in larger text indexes with fewer than two threads, so the variable is set before the module is loaded.
 */
export function loadLancedb(): Promise<{ lance: LanceModule; arrow: ArrowModule }> {
  loaded ??= (async () => {
    if (!(Number(env['LANCE_CPU_THREADS']) >= 2))
      env['LANCE_CPU_THREADS'] = String(Math.max(2, availableParallelism()));
    env['LANCE_INCLUDE_VECTOR_CENTROIDS'] ??= 'false';
    const lance = await import('@lancedb/lancedb');
    // LanceDB recognises only tables of the CommonJS copy, which `import` would not give.
    const arrow = createRequire(import.meta.url)('apache-arrow') as ArrowModule;
    return { lance, arrow };
  })();
  return loaded;
}
