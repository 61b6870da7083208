import { firstState, type Documents, type Phase, type SourceState } from './corpus.js';
import type { Engine, HeldChunk, Side, StoreMeter } from './engine.js';
import { changedChunks, judge, type Faults } from './judge.js';
import { createMeteredEmbedder, type MeteredEmbedder } from './metered-embedder.js';

/** What one side made of one phase in one run. */
export interface Measured extends Faults {
  side: string;
  phase: string;
  documents: number;
  ms: number;
  /** Of this process and of Postgres, in milliseconds: says what a phase costs where the clock of a busy machine cannot. */
  cpuMs: number;
  embeds: number;
  writes: number;
  /** Chunks of the new state that the one before did not have, as this side cuts them. */
  changed: number;
}

/** How often, over what, and by which way. */
export interface MeasureOptions {
  documents: Documents;
  phases: readonly Phase[];
  /** Phases that are shown; the others run all the same, because each begins where the one before ended. */
  shown: (phase: Phase) => boolean;
  runs: number;
  slow: boolean;
  /** CPU milliseconds so far of everything that the sides run on. */
  cpuMs: () => number;
  say: (line: string) => void;
}

/** An open side with what it asked for. */
interface Running {
  side: Side;
  engine: Engine;
  embedder: MeteredEmbedder;
  meter: StoreMeter;
  wanted: HeldChunk[];
}

/** What a side should hold after each phase: the same in every run, and worth keeping where a splitter is slow. */
const wantedOnce = new Map<string, HeldChunk[]>();

async function wantedOf({ side, engine }: Running, phase: string, state: SourceState) {
  const name = `${side.name}\0${phase}\0${state.documents.size}`;
  const wanted = wantedOnce.get(name) ?? (await engine.wanted(state));
  wantedOnce.set(name, wanted);
  return wanted;
}

async function open(side: Side, slow: boolean): Promise<Running> {
  const embedder = createMeteredEmbedder(slow);
  // The thread and what it knows of words are there before the clock runs, for every side.
  await embedder.embed(['warm'], 'v1');
  const meter: StoreMeter = { writes: 0, crash: undefined };
  return { side, embedder, meter, engine: await side.open({ embedder, meter }), wanted: [] };
}

async function timed(running: Running, cpuMs: () => number, work: () => Promise<void>) {
  running.embedder.reset();
  running.meter.writes = 0;
  const cpu = cpuMs();
  const since = performance.now();
  await work();
  const ms = performance.now() - since;
  return {
    ms,
    cpuMs: cpuMs() - cpu,
    embeds: running.embedder.inputs(),
    writes: running.meter.writes,
  };
}

const hasFaults = ({ orphans, duplicates, missing, stale }: Faults): boolean =>
  orphans + duplicates + missing + stale > 0;

/** One phase of one side; where it leaves something behind and there is a documented way on, that way as well. */
async function phaseOf(
  running: Running,
  phase: Phase,
  { before, after, cpuMs }: { before: SourceState; after: SourceState; cpuMs: () => number },
): Promise<Measured[]> {
  const { engine, side } = running;
  const wanted = await wantedOf(running, phase.name, after);
  const changed = changedChunks(running.wanted, wanted);
  const documents = Math.max(before.documents.size, after.documents.size);
  const one = (
    name: string,
    cost: Awaited<ReturnType<typeof timed>>,
    faults: Faults,
  ): Measured => ({
    side: side.name,
    phase: name,
    documents,
    changed,
    ...cost,
    ...faults,
  });
  const first = await timed(running, cpuMs, () => engine.sync(after, phase.change));
  const faults = judge(await engine.held(), wanted);
  const results = [one(phase.name, first, faults)];
  const { rebuild } = engine;
  if (hasFaults(faults) && rebuild !== undefined) {
    const second = await timed(running, cpuMs, () => rebuild(after));
    const left = judge(await engine.held(), wanted);
    results.push(one(`${phase.name}, begun again`, second, left));
  }
  running.wanted = wanted;
  return results;
}

/** All phases of all sides, side by side: each phase is run by every side before the next begins. */
async function run(sides: readonly Side[], options: MeasureOptions): Promise<Measured[]> {
  const all: Measured[] = [];
  const open_: Running[] = [];
  try {
    for (const side of sides) open_.push(await open(side, options.slow));
    let before = firstState(options.documents);
    for (const [at, phase] of options.phases.entries()) {
      const after = phase.next(before);
      // Nobody is always first.
      const order = open_.map((_, index) => open_[(index + at) % open_.length]);
      for (const running of order) {
        if (running === undefined) continue;
        const measured = await phaseOf(running, phase, { before, after, cpuMs: options.cpuMs });
        for (const { side, phase: name, ms, cpuMs } of measured)
          options.say(`  ${name}, ${side}: ${ms.toFixed(0)} ms, cpu ${cpuMs.toFixed(0)} ms`);
        all.push(...measured);
      }
      before = after;
    }
  } finally {
    for (const { engine, embedder } of open_) {
      await engine.close();
      await embedder.close();
    }
  }
  return all.filter(({ phase }) =>
    options.phases.some((one) => phase.startsWith(one.name) && options.shown(one)),
  );
}

/** A warm-up and the runs that count. */
export async function measureSides(
  sides: readonly Side[],
  options: MeasureOptions,
): Promise<Measured[][]> {
  const runs: Measured[][] = [];
  for (let at = 0; at <= options.runs; at++) {
    const since = performance.now();
    const measured = await run(sides, options);
    const seconds = ((performance.now() - since) / 1_000).toFixed(1);
    options.say(at === 0 ? `warm-up: ${seconds} s` : `run ${at} of ${options.runs}: ${seconds} s`);
    if (at > 0) runs.push(measured);
  }
  return runs;
}
