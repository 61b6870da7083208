import type { Random } from '../../../src/domain/evaluation/random.js';
import { pause } from '../../support/pause.js';
import type { ChaosProcess } from '../chaos-process.js';
import type { Progress } from './driver.js';
import { apiPoints, linkNames, links, workerPoints, type FaultKind } from './faults.js';
import type { LifeStack } from './life-stack.js';

/** What one round is about, and what came of it. */
export interface Round {
  stack: LifeStack;
  driver: ChaosProcess;
  kind: FaultKind;
  random: Random;
  kills: number;
  /** Where it hit: a failpoint or a link. */
  where: string;
}

const pickOf = <T>(random: Random, of: readonly T[]): T => of[random.below(of.length)] as T;

/** Questions at once of each tenant when something is about to happen to them. */
const BURST = 5;
/** How long a stopped worker stays stopped: longer than any task of a run may take. */
const STOPPED_MS = 6_000;
const SILENT_MS = 4_000;
/** An outage of Temporal that starts are not merely late for. */
const OUTAGE_MS = 30_000;
const POINT_MS = 15_000;

const burst = ({ driver }: Round): Promise<void> => driver.call('burst', { size: BURST });

/** At any time: some moment after questions have come in. */
async function atAnyTime(round: Round): Promise<void> {
  await burst(round);
  await pause(round.random.below(120));
}

async function killWorker(round: Round): Promise<void> {
  await round.stack.worker?.kill();
  round.kills += 1;
  await round.stack.beginWorker();
}

async function killApi(round: Round): Promise<void> {
  await round.stack.killApi();
  round.kills += 1;
  await round.stack.beginApi();
}

/** Temporal dies; it is back within seconds, or half of the times out of reach of everybody for longer. */
async function loseTemporal(round: Round): Promise<void> {
  const { stack, random } = round;
  await atAnyTime(round);
  if (stack.killTemporal()) round.kills += 1;
  if (random.below(2) === 0) return;
  round.where = `for ${OUTAGE_MS / 1_000} s`;
  const proxy = stack.proxy();
  const names = ['api-temporal', 'worker-temporal'] as const;
  for (const name of names) await proxy.call('set', { name, fault: { blackhole: 'both' } });
  await burst(round);
  await pause(OUTAGE_MS);
  for (const name of names) {
    await proxy.call('set', { name, fault: {} });
    await proxy.call('reset', { name });
  }
}

/** The first process that comes by one of these points; the points take turns in the order of the seed. */
async function atPoint(round: Round, points: readonly string[]): Promise<void> {
  const { stack, random } = round;
  const left = [...points];
  while (left.length > 0) {
    const [point = ''] = left.splice(random.below(left.length), 1);
    const armed = stack.supervisor.arm(point, { withinMs: POINT_MS, passFirst: random.below(3) });
    await burst(round);
    const hit = await armed.hit;
    if (hit === undefined) continue;
    round.where = point;
    // In some rounds Postgres dies under whoever stands there.
    if (random.below(5) === 0) {
      if (stack.killPostgresTree()) round.kills += 1;
      round.where = `${point}, Postgres under it`;
      hit.pass();
      return;
    }
    if (point.startsWith('api.')) await killApi(round);
    else await killWorker(round);
    return;
  }
}

/** Another worker takes over from one that has stopped; then that one goes on with what it was about to do. */
async function zombie(round: Round): Promise<void> {
  const { stack } = round;
  await burst(round);
  const stopped = stack.worker;
  stopped?.signal('SIGSTOP');
  await stack.beginWorker();
  await pause(STOPPED_MS);
  stopped?.signal('SIGCONT');
  await pause(1_500);
  await stopped?.stop(15_000);
}

async function disturbLink(round: Round): Promise<void> {
  const { stack, kind, random } = round;
  const name = pickOf(random, linkNames);
  round.where = name;
  const proxy = stack.proxy();
  if (kind === 'cut') {
    const text = pickOf(random, links[name]);
    round.where = `${name} after ${text === '' ? 'anything' : text}`;
    await proxy.call('cutAfterRequest', { name, text });
    await burst(round);
    await pause(1_500);
    // Some of what was open goes as well; the rest has only lost its answer.
    await proxy.call('reset', { name });
    return;
  }
  await burst(round);
  if (kind === 'reset') {
    await pause(random.below(120));
    await proxy.call('reset', { name });
    return;
  }
  const fault =
    kind === 'latency'
      ? { latencyMs: 100 + random.below(200) }
      : { blackhole: pickOf(random, ['both', 'to-server', 'to-client'] as const) };
  await proxy.call('set', { name, fault });
  await pause(SILENT_MS);
  await proxy.call('set', { name, fault: {} });
  // Nobody hears on a connection that was silent for a while; a network that comes back resets it.
  if (kind === 'blackhole') await proxy.call('reset', { name });
}

async function act(round: Round): Promise<void> {
  const { stack, kind } = round;
  switch (kind) {
    case 'worker':
      await atAnyTime(round);
      return killWorker(round);
    case 'api':
      await atAnyTime(round);
      return killApi(round);
    case 'postgres':
      await atAnyTime(round);
      if (stack.killPostgresTree()) round.kills += 1;
      return undefined;
    case 'temporal':
      return loseTemporal(round);
    case 'worker-point':
      return atPoint(round, workerPoints);
    case 'api-point':
      return atPoint(round, apiPoints);
    case 'zombie':
      return zombie(round);
    case 'latency':
    case 'reset':
    case 'blackhole':
    case 'cut':
      return disturbLink(round);
  }
}

/** Answers after the fault by which a product counts as back at work. */
const AT_WORK = 12;
const BACK_MS = 90_000;

/** Does it, and waits until callers get their answers again. Answers the milliseconds from the fault until then. */
export async function runRound(round: Round): Promise<number> {
  const { driver } = round;
  await act(round);
  const since = performance.now();
  const before = await driver.call<Progress>('progress');
  for (;;) {
    const now = await driver.call<Progress>('progress');
    if (now.acknowledged - before.acknowledged >= AT_WORK) return performance.now() - since;
    if (performance.now() - since > BACK_MS)
      throw new Error(`nobody was answered for ${BACK_MS} ms after ${round.kind} ${round.where}`);
    await pause(100);
  }
}
