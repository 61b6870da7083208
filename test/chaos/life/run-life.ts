import { appendFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createRandom, type Random } from '../../../src/domain/evaluation/random.js';
import { pause } from '../../support/pause.js';
import type { Verdict } from './checker.js';
import type { DriverSetup, Progress } from './driver.js';
import type { EvidenceSetup } from './evidence.js';
import { faultKinds, weights, type FaultKind } from './faults.js';
import type { LifeStack } from './life-stack.js';
import type { FaultLine } from './log-lines.js';
import { isEnough, killsOf, type LifeReport } from './report.js';
import { runRound, type Round } from './run-round.js';

export interface LifeOptions {
  seed: number;
  /** At least so many kills; 0: the workload alone. */
  kills: number;
  /** At least so many acknowledged requests. */
  requests: number;
  only?: FaultKind | undefined;
  /** Callers of each tenant, and how long they think, in milliseconds. */
  callers: number;
  thinkMs: number;
  say: (line: string) => void;
}

/** After the faults have stopped, everything has to be done within this time. */
const SETTLE_MS = 120_000;

function* shuffled(of: readonly FaultKind[], random: Random): Generator<FaultKind> {
  const left = [...of];
  while (left.length > 0) yield* left.splice(random.below(left.length), 1);
}

/** Every kind once, then by weight, each block shuffled by the seed. */
function* scheduleOf({ seed, only }: LifeOptions): Generator<FaultKind> {
  if (only !== undefined) for (;;) yield only;
  const weighted = faultKinds.flatMap((kind) => Array.from({ length: weights[kind] }, () => kind));
  for (let block = 0; ; block++)
    yield* shuffled(block === 0 ? faultKinds : weighted, createRandom(seed, `block ${block}`));
}

/** Where the traces of a run lie. */
export function evidenceOf(stack: LifeStack): EvidenceSetup {
  const logs = readdirSync(stack.logsDir).filter((name) => !/^(driver|checker)/.test(name));
  return {
    adminUrl: stack.adminUrl,
    temporalAddress: stack.temporalAddress,
    historiesFile: join(stack.stateDir, 'histories.jsonl'),
    bundle: stack.bundle,
    driverLog: join(stack.stateDir, 'driver.jsonl'),
    faultLog: join(stack.stateDir, 'faults.jsonl'),
    ledgerFile: stack.ledgerFile,
    logFiles: [
      ...logs.map((name) => join(stack.logsDir, name)),
      join(stack.stateDir, 'postgres.log'),
    ],
    keyFolder: join(stack.stateDir, 'keys'),
    tenants: stack.tenants.map(({ tenant }) => tenant),
  };
}

/** Rounds without a kill in a row after which a run gives up. */
const FRUITLESS = 14;

interface Run {
  stack: LifeStack;
  options: LifeOptions;
  report: LifeReport;
  driver: Round['driver'];
  /** Writes a line of the fault log. */
  note: (line: FaultLine) => void;
}

async function oneRound(run: Run, kind: FaultKind, number: number): Promise<Round> {
  const { stack, options, report, driver, note } = run;
  const label = `${kind}#${number}`;
  const random = createRandom(options.seed, label);
  const round: Round = { stack, driver, kind, random, kills: 0, where: '' };
  note({ at: Date.now(), phase: 'begin', label, kind, kills: 0 });
  const back = await runRound(round);
  note({ at: Date.now(), phase: 'end', label, kind, kills: round.kills });
  const died = await stack.mourn();
  report.crashes.push(...died.map((who) => `${label}: ${who} ended by itself`));
  if (number % 5 === 0) await driver.call('trespass');
  const row = report.kinds.get(kind) ?? { rounds: 0, kills: 0, slowestMs: 0 };
  report.kinds.set(kind, row);
  row.rounds += 1;
  row.kills += round.kills;
  row.slowestMs = Math.max(row.slowestMs, back);
  options.say(
    `${label.padEnd(16)} kills ${round.kills} · answers again after ${(back / 1000).toFixed(1)} s ${round.where === '' ? '' : `· ${round.where}`} · ${killsOf(report)}/${options.kills}`,
  );
  return round;
}

/** Faults until there were enough; or, without any, the workload for as long as it needs. */
async function disturb(run: Run): Promise<void> {
  const { options, report, driver } = run;
  let fruitless = 0;
  let number = 0;
  if (options.kills > 0)
    for (const kind of scheduleOf(options)) {
      if (isEnough(report, options) || fruitless > FRUITLESS) break;
      number += 1;
      const round = await oneRound(run, kind, number);
      fruitless = round.kills === 0 ? fruitless + 1 : 0;
    }
  while ((await driver.call<Progress>('progress')).acknowledged < options.requests) {
    await driver.call('trespass');
    await pause(500);
  }
}

/** The workload, the faults, the end of all work, and what the checker says of it. */
export async function runLife(stack: LifeStack, options: LifeOptions): Promise<LifeReport> {
  const { seed, kills, say } = options;
  const since = performance.now();
  const report: LifeReport = {
    seed,
    kills,
    only: options.only,
    kinds: new Map(),
    crashes: [],
    verdict: undefined,
    faults: [],
    seconds: 0,
  };
  const setup = evidenceOf(stack);
  writeFileSync(setup.faultLog, '');
  const note = (line: FaultLine): void => {
    report.faults.push(line);
    appendFileSync(setup.faultLog, `${JSON.stringify(line)}\n`);
  };
  const driver = stack.program('driver', './life/driver.ts');
  const checker = stack.program('checker', './life/checker.ts');
  await Promise.all([driver.ready(), checker.ready()]);
  const drives: DriverSetup = {
    baseUrl: stack.baseUrl,
    logFile: setup.driverLog,
    seed,
    tenants: stack.tenants,
    callers: options.callers,
    thinkMs: options.thinkMs,
  };
  await driver.call('setup', drives);
  say('both tenants have a model in production');
  await driver.call('start');
  try {
    await disturb({ stack, options, report, driver, note });
  } catch (error) {
    report.crashes.push(String(error));
  }
  const stopped = performance.now();
  await driver.call('stop');
  const left = SETTLE_MS - (performance.now() - stopped);
  const { adminUrl, temporalAddress } = stack;
  const of = { adminUrl, temporalAddress, patienceMs: Math.max(left, 1_000) };
  const quiet = await checker.call<number | undefined>('settle', of);
  const tookMs = quiet === undefined ? undefined : performance.now() - stopped;
  say(
    `all work ended ${tookMs === undefined ? `not within ${SETTLE_MS / 1000} s` : `${(tookMs / 1000).toFixed(1)} s after the last new work`}; the checker looks`,
  );
  report.verdict = await checker.call<Verdict>('judge', { setup: evidenceOf(stack), tookMs });
  report.seconds = (performance.now() - since) / 1000;
  await Promise.all([driver.kill(), checker.kill()]);
  return report;
}
