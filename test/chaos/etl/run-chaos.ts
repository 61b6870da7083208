import { createRandom, type Random } from '../../../src/domain/evaluation/random.js';
import { describeStanding } from '../describe-standing.js';
import type { EtlStack } from './etl-stack.js';
import { killPoints, weights, type KillPointName } from './kill-points.js';
import { emptyPoint, isEnough, killsOf, MOST_TRIES, notHit, type Report } from './report.js';
import { runRound, type RoundResult } from './run-round.js';
import { World } from './world.js';

export interface ChaosOptions {
  seed: number;
  /** At least so many kills. */
  kills: number;
  only?: KillPointName | undefined;
  /** Documents before the first kill. */
  documents: number;
  say: (line: string) => void;
}

function* shuffled(of: readonly KillPointName[], random: Random): Generator<KillPointName> {
  const left = [...of];
  while (left.length > 0) yield* left.splice(random.below(left.length), 1);
}

/** Every point once, then again those that were not hit, then by weight, each block shuffled by the seed. */
function* scheduleOf({ seed, only }: ChaosOptions, report: Report): Generator<KillPointName> {
  if (only !== undefined) for (;;) yield only;
  const weighted = killPoints.flatMap((point) =>
    Array.from({ length: weights[point] }, () => point),
  );
  for (let block = 0; ; block++) {
    const random = createRandom(seed, `block ${block}`);
    if (block > 0 && block < MOST_TRIES) yield* shuffled(notHit(report), random);
    else yield* shuffled(block === 0 ? killPoints : weighted, random);
  }
}

/** Seconds by part of a round. */
const partsOf = ({ times }: RoundResult): string =>
  [...times].map(([part, ms]) => `${part} ${(ms / 1000).toFixed(1)}`).join(', ');

/** Rounds without a kill in a row after which a run gives up: something does not work at all. */
const FRUITLESS = 12;

/** Kills, and checks after each round, until there were enough kills. */
export async function runChaos(stack: EtlStack, options: ChaosOptions): Promise<Report> {
  const { seed, kills, only, documents, say } = options;
  const since = performance.now();
  const world = await World.create(stack, `chaos-${seed}`, seed);
  const report: Report = {
    seed,
    wanted: only === undefined ? kills : undefined,
    points: new Map(),
    cold: { paid: 0, changed: 0 },
    findings: [],
    seconds: 0,
  };
  await world.driver.call('seed', { documents });
  await world.settle();
  const first = await world.settled(true);
  report.cold = first.books;
  report.findings.push(...first.findings.map((finding) => ({ label: 'cold', finding })));
  say(
    `${first.documents} documents loaded, ${first.books.changed} chunks embedded, ${first.reads} reads compared`,
  );
  let before = await world.books();
  let fruitless = 0;
  let number = 0;
  for (const point of scheduleOf(options, report)) {
    if (isEnough(report, kills) || fruitless > FRUITLESS) break;
    number += 1;
    const label = `${point}#${number}`;
    const random = createRandom(seed, label);
    const editBeforeRetry = number % 2 === 0;
    const started = performance.now();
    const result: RoundResult = { kills: 0, inDoubt: 0, findings: [], times: new Map() };
    const plan = { point, label, random, editBeforeRetry };
    const stuck = await runRound(stack, world, { plan, result }).catch(String);
    if (stuck !== undefined)
      result.findings.push({ kind: 'crash', path: 'process', detail: stuck.slice(0, 600) });
    const books = await world.books();
    const row = report.points.get(point) ?? emptyPoint();
    report.points.set(point, row);
    row.rounds += 1;
    row.kills += result.kills;
    row.inDoubt += result.inDoubt;
    row.findings.push(...result.findings);
    row.paid += books.paid - before.paid;
    row.changed += books.changed - before.changed;
    row.labels.push(label);
    report.findings.push(...result.findings.map((finding) => ({ label, finding })));
    before = books;
    fruitless = result.kills === 0 && point !== 'network' ? fruitless + 1 : 0;
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    say(
      `${label.padEnd(11)} ${editBeforeRetry ? 'edited ' : '       '} kills ${result.kills} in doubt ${result.inDoubt} findings ${result.findings.length} · ${seconds} s (${partsOf(result)}) · ${killsOf(report)}/${kills}`,
    );
    for (const { kind, path, detail } of result.findings) say(`  ${kind} by ${path}: ${detail}`);
    // What does not settle any more makes every later round wait for nothing.
    if (stuck === undefined) continue;
    for (const line of await describeStanding(stack)) say(`  ${line}`);
    break;
  }
  if (!report.findings.some(({ finding }) => finding.kind === 'crash')) {
    const last = await world.settled(true);
    report.findings.push(...last.findings.map((finding) => ({ label: 'end', finding })));
  }
  report.seconds = (performance.now() - since) / 1000;
  await world.close();
  return report;
}
