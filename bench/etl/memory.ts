import { firstState, type Documents } from './corpus.js';
import type { StoreMeter } from './engine.js';
import type { Installation } from './installation.js';
import { variantsOf } from './large-corpus.js';
import { createMeteredEmbedder } from './metered-embedder.js';
import { createOurEngine } from './our-engine.js';
import { openWorld } from './our-world.js';

const SAMPLE_MS = 50;

/** What a process that ingests this many documents holds at most. */
export interface MemoryFigure {
  documents: number;
  seconds: number;
  documentsPerSecond: number;
  /** Resident set before the first document, and the largest while they came in. MiB. */
  beforeMiB: number;
  peakMiB: number;
}

const residentMiB = (): number => process.memoryUsage.rss() / 2 ** 20;

/** Ingests `count` documents cold and watches the resident set of this process, which does a worker's work. */
export async function measureMemory(
  at: Installation,
  documents: Documents,
  count: number,
): Promise<MemoryFigure> {
  const embedder = createMeteredEmbedder(false);
  const meter: StoreMeter = { writes: 0, crash: undefined };
  const world = await openWorld(at, { embedder, meter });
  const many = variantsOf(documents, count);
  const beforeMiB = residentMiB();
  let peakMiB = beforeMiB;
  const watch = setInterval(() => {
    peakMiB = Math.max(peakMiB, residentMiB());
  }, SAMPLE_MS);
  try {
    const since = performance.now();
    await createOurEngine(world, world.show).sync(firstState(many), 'documents');
    const seconds = (performance.now() - since) / 1_000;
    return { documents: count, seconds, documentsPerSecond: count / seconds, beforeMiB, peakMiB };
  } finally {
    clearInterval(watch);
    await world.close();
    await embedder.close();
  }
}
