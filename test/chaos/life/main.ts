import { mkdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { runToExitCode, seedOf, sharedOptions, withStack } from '../chaos-command.js';
import { faultKinds, isFaultKind, meanings, type FaultKind } from './faults.js';
import { LifeStack } from './life-stack.js';
import { plantNames } from './plants.js';
import { provePlants } from './prove-plants.js';
import { printReport, verdictFile, verdictOf } from './report.js';
import { evidenceOf, runLife } from './run-life.js';

// `npm run chaos`: a model's whole life under fire, judged from outside.

const FULL = { kills: 60, requests: 5_000, callers: 10, thinkMs: 1_800 };
/** The run that bugs are planted into: the same workload without faults. */
const CLEAN = { kills: 0, requests: 400, callers: 5, thinkMs: 300 };

const HELP = `npm run chaos -- [options]

  --kills <n>      at least so many kills (${FULL.kills})
  --requests <n>   at least so many acknowledged requests (${FULL.requests})
  --seed <n>       the seed of faults and choices (the time by default); a run prints its own
  --only <kind>    one kind of fault alone: ${faultKinds.join(' ')}
  --verdict <file> where the verdict is written (a file named after the seed in the temporary folder)
  --planted        only prove the checker: ${plantNames.length} planted bugs, each of which it has to catch
  --fault <name>   only one of these bugs, by a part of its name
  --no-planted     leave that proof out
  --keep           keep the folder with databases and logs; that of a failed run stays anyway
  --help           this text

Faults:
${faultKinds.map((kind) => `  ${kind.padEnd(13)} ${meanings[kind]}`).join('\n')}

Exit code 0: every invariant held. 1: a finding, a bug that was not caught, or no request whose caller was left in doubt.
docs/chaos.md says how to read the tables.
`;

const say = (line: string): void => void process.stdout.write(`${line}\n`);

const { values } = parseArgs({
  options: {
    ...sharedOptions(FULL.kills),
    requests: { type: 'string', default: String(FULL.requests) },
    verdict: { type: 'string' },
  },
});

/** The run with its faults. */
const underFire = (seed: number, only: FaultKind | undefined): Promise<boolean> =>
  withStack(new LifeStack({ say }), values, async (stack) => {
    const kills = Number(values.kills);
    const requests = Number(values.requests);
    const report = await runLife(stack, { ...FULL, seed, only, kills, requests, say });
    const file = values.verdict ?? join(tmpdir(), 'anneal-chaos', `life-${seed}.json`);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, `${JSON.stringify(verdictFile(report), null, 2)}\n`);
    say(`\n${printReport(report)}\nverdict: ${file}\n`);
    return verdictOf(report) === 'PASS';
  });

/** A run without faults, and each bug in a copy of what it has left behind. */
const proof = (seed: number): Promise<boolean> =>
  withStack(new LifeStack({ say }), values, async (stack) => {
    const report = await runLife(stack, { ...CLEAN, seed, say });
    if (verdictOf(report) !== 'PASS') {
      say(`the run that bugs are planted into is not clean\n${printReport(report)}`);
      return false;
    }
    const { fault = '' } = values;
    const names = plantNames.filter((name) => name.includes(fault));
    const proofs = await provePlants(stack, evidenceOf(stack), names);
    return proofs.every(({ caught }) => caught);
  });

async function main(): Promise<number> {
  const { only } = values;
  if (values.help) {
    say(HELP);
    return 0;
  }
  if (only !== undefined && !isFaultKind(only)) {
    say(`--only ${only}: there is no such fault\n\n${HELP}`);
    return 2;
  }
  const seed = seedOf(values);
  say(`seed ${seed}`);
  let ok = true;
  if (!values.planted && values.fault === undefined) ok = await underFire(seed, only);
  if (!values['no-planted'] && only === undefined) ok = (await proof(seed)) && ok;
  return ok ? 0 : 1;
}

await runToExitCode(main, say);
