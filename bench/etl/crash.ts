import { edit, firstState, type Documents, type SourceState } from './corpus.js';
import { Crash, type Engine, type HeldChunk, type Side, type StoreMeter } from './engine.js';
import { changedChunks, judge, type Faults } from './judge.js';
import { createMeteredEmbedder } from './metered-embedder.js';

const points = {
  'K5, while embedding': 'embed',
  'half of a batch written': 'half',
  'K8, written and not recorded': 'after',
} as const;

/** What is left of a crash once the run was begun again and ended well. */
export interface CrashResult extends Faults {
  point: string;
  side: string;
  /** Whether the source changed before the second try. */
  edited: boolean;
  /** Inputs embedded in both tries; `changed` is what could not be avoided. */
  embeds: number;
  changed: number;
}

async function crashOnce(
  side: Side,
  of: { point: string; edited: boolean; documents: Documents },
): Promise<CrashResult> {
  const embedder = createMeteredEmbedder(false);
  const meter: StoreMeter = { writes: 0, crash: undefined };
  const engine: Engine = await side.open({ embedder, meter });
  try {
    // Documents that are new and documents that change, some of each in doubt.
    const start = firstState(new Map([...of.documents].slice(0, of.documents.size * 0.9)));
    const first = edit({ ...start, documents: of.documents }, 10, 'A second group confirmed it.');
    // The very documents whose rows are in doubt change once more.
    const second = of.edited ? edit(first, 10, 'A third group did not.') : first;
    const wanted = async (state: SourceState): Promise<HeldChunk[]> => engine.wanted(state);
    await engine.sync(start, 'documents');
    const due = changedChunks(await wanted(start), await wanted(first));
    const kind = points[of.point as keyof typeof points];
    if (kind === 'embed') embedder.crashAfter(Math.ceil(due / 2));
    else meter.crash = kind;
    embedder.reset();
    const ended = await engine.sync(first, 'documents').then(
      () => undefined,
      (error: unknown) => error,
    );
    if (!(ended instanceof Crash)) throw new Error(`${side.name}: no crash at ${of.point}`);
    embedder.crashAfter(undefined);
    meter.crash = undefined;
    await engine.restart();
    await engine.sync(second, 'documents');
    const goal = await wanted(second);
    return {
      point: of.point,
      side: side.name,
      edited: of.edited,
      embeds: embedder.inputs(),
      changed: changedChunks(await wanted(start), goal),
      ...judge(await engine.held(), goal),
    };
  } finally {
    await engine.close();
    await embedder.close();
  }
}

/**
 * Ends each side at each point, forgets what was only in memory, and runs it again: over the same source, and over one
 * that changed in between.
 */
export async function measureCrashes(
  sides: readonly Side[],
  documents: Documents,
  say: (line: string) => void,
): Promise<CrashResult[]> {
  const results: CrashResult[] = [];
  for (const point of Object.keys(points))
    for (const edited of [false, true])
      for (const side of sides) {
        results.push(await crashOnce(side, { point, edited, documents }));
        say(`  ${point}, ${edited ? 'source edited, ' : ''}${side.name}`);
      }
  return results;
}

export const crashHeads = [
  'Ended at',
  'Source before the retry',
  'Side',
  'orphans',
  'duplicates',
  'missing',
  'stale ACLs',
  'embeds',
  'changed chunks',
];

export const crashCells = (one: CrashResult): string[] => [
  one.point,
  one.edited ? 'edited' : 'the same',
  one.side,
  ...[one.orphans, one.duplicates, one.missing, one.stale, one.embeds, one.changed].map(String),
];
