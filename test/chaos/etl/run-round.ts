import type { Random } from '../../../src/domain/evaluation/random.js';
import type { Hit } from '../supervisor.js';
import type { EditOrder } from './driver.js';
import type { EtlStack } from './etl-stack.js';
import type { Finding } from './findings.js';
import { workerPoints, type KillPointName } from './kill-points.js';
import type { World } from './world.js';
import { pause } from '../../support/pause.js';

/** What one round is about. */
export interface RoundPlan {
  point: KillPointName;
  /** Names the round in seeds: the same name and seed give the same edits and the same choices. */
  label: string;
  random: Random;
  /** Whether the source moves on before the retry. */
  editBeforeRetry: boolean;
}

/** What came of it. */
export interface RoundResult {
  kills: number;
  /** Open intents at the moment of each kill, added up. */
  inDoubt: number;
  findings: Finding[];
  /** Where the time went: milliseconds by part of the round; `look` and `begin` are within `kill`. */
  times: Map<string, number>;
}

/** Work whose time is noted. */
async function timed<T>({ times }: RoundResult, part: string, work: () => Promise<T>): Promise<T> {
  const since = performance.now();
  try {
    return await work();
  } finally {
    times.set(part, (times.get(part) ?? 0) + performance.now() - since);
  }
}

/** A round at work. */
interface Round extends RoundPlan {
  stack: EtlStack;
  world: World;
  result: RoundResult;
  /** Scans that wait for the one before; a process that stands at a failpoint may be what they wait for. */
  scans: Promise<unknown>[];
}

/** What a K5 round repeats is by definition everything in flight: it changes little, others change more. */
const documentsOf = (point: KillPointName): number => (point === 'K5' ? 1 : 7);

/** What each round brings for sure, so that something comes by where it kills. */
const sureOf: Partial<Record<KillPointName, EditOrder['sure']>> = {
  K1: { first: 3, sources: ['upload', 'webhook'] },
  K2: { first: 3, sources: ['upload', 'webhook'] },
  K10: { first: 1, sources: ['upload'] },
};

/** A scan may wait for one that only the next worker ends: nobody who is to begin that worker waits for it. */
async function edit(round: Round, part = ''): Promise<number> {
  const { world, label, point } = round;
  const sure = sureOf[point] ?? { first: 1 };
  const order: EditOrder = { round: `${label}${part}`, documents: documentsOf(point), sure };
  const edited = await world.driver.call<number>('edit', order);
  scan(round);
  return edited;
}

/** Has the folder listed once that is possible. */
function scan({ world, scans }: Round): void {
  const asked = world.driver.call('scan');
  asked.catch(() => undefined);
  scans.push(asked);
}

/** Counts a kill, and what was in doubt: as counted before it, or else now. */
async function note({ stack, result }: Round, inDoubt?: number): Promise<void> {
  result.kills += 1;
  result.inDoubt += inDoubt ?? (await stack.inDoubt());
}

const look = async ({ world, result }: Round): Promise<void> => {
  const { findings } = await timed(result, 'look', () => world.inFlight());
  result.findings.push(...findings);
};

/** While the worker is dead: the source moves on, readers look, then the next worker comes and the folder is listed. */
async function recover(round: Round): Promise<void> {
  const { stack, world, editBeforeRetry, label } = round;
  if (editBeforeRetry) await world.driver.call('editAgain', { round: label, documents: 4 });
  await look(round);
  await timed(round.result, 'begin', () => stack.beginWorker());
  if (editBeforeRetry) scan(round);
}

/** Kills the worker that stands at a point, or Postgres under it. */
async function killAt(round: Round, hit: Hit): Promise<void> {
  const { stack, random, point } = round;
  // Who stands at a point waits; a write that is under way does not.
  const inDoubt = point === 'K7' ? undefined : await stack.inDoubt();
  // A document over which two parsers die is taken for poison, and rightly so: once a round.
  if (point === 'K3' && round.result.kills === 0 && random.below(2) === 0) {
    hit.pass();
    // The children have what they parse, or are about to.
    await pause(random.below(25));
    stack.killParsers();
    await note(round, inDoubt);
    return;
  }
  const underneath = point !== 'K5' && random.below(5) === 0;
  if (underneath) {
    stack.killPostgres();
    hit.pass();
    await note(round, inDoubt);
    return;
  }
  if (point === 'K7') await pause(random.below(20));
  await hit.process.kill();
  await note(round, inDoubt);
}

/** Points at which an intent is open, where the batch has anything to write at all. */
const afterIntent = new Set<KillPointName>(['K5', 'K6', 'K8']);

/** The next process at the point of the round; batches that write nothing pass a point after INTENT. */
async function nextHit(round: Round, name: string, withinMs: number): Promise<Hit | undefined> {
  const { stack, point } = round;
  let armed = stack.supervisor.arm(name, { withinMs });
  for (;;) {
    const hit = await armed.hit;
    if (hit === undefined || !afterIntent.has(point) || (await stack.inDoubt()) > 0) return hit;
    armed = stack.supervisor.arm(name, { withinMs });
    hit.pass();
  }
}

/** A point that a worker announces; in a third of the rounds the retry dies as well. */
async function atWorkerPoint(round: Round): Promise<void> {
  const { point, random, world } = round;
  const name = workerPoints[point] ?? '';
  let next = nextHit(round, name, 25_000);
  const editing = edit(round);
  const times = random.below(3) === 0 ? 2 : 1;
  for (let time = 1; time <= times; time++) {
    const hit = await next;
    // Nothing of this round passes here: an edit that changed nothing, a source that is not listed.
    if (hit === undefined) break;
    await killAt(round, hit);
    await editing;
    if (time < times) next = nextHit(round, name, 8_000);
    if (!hit.process.isAlive) await recover(round);
    else if (round.editBeforeRetry) {
      await world.driver.call('editAgain', { round: round.label, documents: 4 });
      scan(round);
    }
  }
  await editing;
}

/** K1 and K2: the API dies around the change log; the sender repeats what it heard nothing of. */
async function atApi(round: Round): Promise<void> {
  const { stack, point } = round;
  const armed = stack.supervisor.arm(point === 'K1' ? 'etl.k1' : 'etl.k2', {
    passFirst: round.random.below(3),
  });
  const editing = edit(round);
  const hit = await Promise.race([armed.hit, editing.then(() => undefined)]);
  armed.callOff();
  if (hit !== undefined) {
    if (point === 'K2') {
      hit.pass('forget the wake');
      // The answer is on its way out.
      await pause(20);
    }
    await stack.killApi();
    await note(round);
    await stack.beginApi();
  }
  await editing;
  await look(round);
}

/** The run of a source's watcher, as Temporal sees it. */
async function runOf({ stack, world }: Round): Promise<string> {
  const client = await stack.temporal();
  const id = `etl/${stack.tenant}/${world.sources.upload}`;
  return (await client.workflow.getHandle(id).describe()).runId;
}

/** K10: as soon as a watcher has gone on as a new run, or is about to. */
async function atContinueAsNew(round: Round): Promise<void> {
  const { stack, world } = round;
  const first = await runOf(round);
  for (let at = 0; at < 8; at++) {
    const editing = edit(round, ` ${at}`);
    const settled = editing.then(() => world.settle());
    let isOver = false;
    const over = settled.finally(() => (isOver = true));
    over.catch(() => undefined);
    while (!isOver) {
      if ((await runOf(round)) === first) {
        await pause(10);
        continue;
      }
      await stack.worker?.kill();
      await note(round);
      await editing;
      await recover(round);
      break;
    }
    await over;
    if (round.result.kills > 0) return;
  }
}

/** K11: a compaction dies before or while it rewrites; documents come in meanwhile. */
async function atCompaction(round: Round): Promise<void> {
  const { stack, world, random } = round;
  const armed = stack.supervisor.arm(random.below(2) === 0 ? 'etl.k11' : 'etl.in-compaction');
  await world.compact();
  const editing = edit(round);
  const hit = await armed.hit;
  if (hit !== undefined) {
    await pause(random.below(30));
    await hit.process.kill();
    await note(round);
    await editing;
    await recover(round);
  }
  await editing;
}

/** K15: a worker stops in the middle, another one takes over, and the first one wakes up with what it was about to do. */
async function atPause(round: Round): Promise<void> {
  const { stack, world, random, label } = round;
  const points = ['etl.k4', 'etl.k5', 'etl.k6', 'etl.before-write', 'etl.k8'];
  const armed = stack.supervisor.arm(points[random.below(points.length)] ?? 'etl.k8');
  const editing = edit(round);
  const hit = await armed.hit;
  await editing;
  if (hit === undefined) return;
  const zombie = hit.process;
  zombie.signal('SIGSTOP');
  // It will find this when it wakes up.
  hit.pass();
  await note(round);
  // Past the claim in half of the rounds; in the others the same batch goes on elsewhere.
  if (random.below(2) === 0) await world.loseClaims();
  if (round.editBeforeRetry) await world.driver.call('editAgain', { round: label, documents: 4 });
  await look(round);
  await timed(round.result, 'begin', () => stack.beginWorker());
  scan(round);
  await Promise.all(round.scans);
  await world.settle();
  zombie.signal('SIGCONT');
  await pause(2_500);
  await look(round);
  await zombie.kill();
  // What it added is in no manifest: nobody reads it, and the reconcile takes it out.
  await world.reconcile();
}

/** Anything at any time. */
async function atRandom(round: Round): Promise<void> {
  const { stack, random } = round;
  const targets = [
    'worker',
    'worker',
    'worker',
    'postgres',
    'postgres',
    'api',
    'parser',
    'temporal',
  ];
  const target = targets[random.below(targets.length)];
  const editing = edit(round);
  await pause(random.below(2_500));
  if (target === 'worker') {
    await stack.worker?.kill();
    await note(round);
    await editing;
    await recover(round);
  } else if (target === 'api') {
    await stack.killApi();
    await note(round);
    await stack.beginApi();
  } else {
    const isHit =
      target === 'postgres'
        ? stack.killPostgres()
        : target === 'temporal'
          ? stack.killTemporal()
          : stack.killParsers() > 0;
    if (isHit) await note(round);
  }
  await editing;
}

/** A commit whose answer is lost, a provider's answer that is lost, links that are reset or silent for a while. */
async function atNetwork(round: Round): Promise<void> {
  const { stack, random, world } = round;
  const proxy = stack.proxy();
  const kind = random.below(4);
  const armed = stack.supervisor.arm(kind === 1 ? 'etl.k6' : 'etl.k8');
  const editing = edit(round);
  const hit = await armed.hit;
  if (hit === undefined) {
    await editing;
    return;
  }
  const postgres = 'worker-postgres';
  if (kind === 0) await proxy.call('cutAfterRequest', { name: postgres, text: 'COMMIT' });
  if (kind === 1) await proxy.call('reset', { name: 'worker-provider' });
  if (kind === 2) await proxy.call('reset', { name: postgres });
  if (kind === 3) await proxy.call('set', { name: postgres, fault: { blackhole: 'to-client' } });
  round.result.inDoubt += await stack.inDoubt();
  hit.pass();
  await editing;
  if (round.editBeforeRetry)
    await world.driver.call('editAgain', { round: round.label, documents: 4 });
  if (kind === 3) {
    await pause(1_500);
    await proxy.call('set', { name: postgres, fault: {} });
    await proxy.call('reset', { name: postgres });
  }
  if (round.editBeforeRetry) scan(round);
}

const actions: Partial<Record<KillPointName, (round: Round) => Promise<void>>> = {
  K1: atApi,
  K2: atApi,
  K10: atContinueAsNew,
  K11: atCompaction,
  K15: atPause,
  random: atRandom,
  network: atNetwork,
};

/**
 * Edits, kills, lets it recover, and compares everything that can be read with the sources. What came of it is noted as
 * it happens.
 * @throws where the product does not settle any more
 */
export async function runRound(
  stack: EtlStack,
  world: World,
  { plan, result }: { plan: RoundPlan; result: RoundResult },
): Promise<undefined> {
  const round: Round = { ...plan, stack, world, result, scans: [] };
  const act = actions[plan.point] ?? atWorkerPoint;
  await timed(result, 'kill', () => act(round));
  await timed(result, 'settle', async () => {
    await Promise.all(round.scans);
    for (const name of await stack.mourn())
      result.findings.push({ kind: 'crash', path: 'process', detail: `${name} died by itself` });
    await world.settle();
  });
  const { findings } = await timed(result, 'check', () => world.settled());
  result.findings.push(...findings);
}
