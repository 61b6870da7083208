import { parseArgs } from 'node:util';
import { runToExitCode, seedOf, sharedOptions, withStack } from '../chaos-command.js';
import { EtlStack } from './etl-stack.js';
import { isKillPoint, killPoints, meanings } from './kill-points.js';
import { plantedFaultNames, proveFault } from './prove-faults.js';
import { printReport, verdictOf } from './report.js';
import { runChaos } from './run-chaos.js';

// `npm run chaos:etl`: kills the product where it hurts and compares what can be read with what the sources say.

const HELP = `npm run chaos:etl -- [options]

  --kills <n>      at least so many kills (200)
  --seed <n>       the seed of edits and choices (the time by default); a run prints its own
  --only <point>   one kind of kill alone: ${killPoints.join(' ')}
  --documents <n>  documents before the first kill (60)
  --planted        only prove the checker: five planted faults, each of which it has to catch
  --fault <name>   only one of these faults, by a part of its name
  --no-planted     leave that proof out
  --keep           keep the folder with databases and logs; that of a failed run stays anyway
  --help           this text

Kill points:
${killPoints.map((point) => `  ${point.padEnd(8)} ${meanings[point]}`).join('\n')}

Exit code 0: everything held. 1: a finding, a fault that was not caught, or no kill met an intent in doubt.
docs/chaos.md says how to read the table.
`;

const say = (line: string): void => void process.stdout.write(`${line}\n`);

const { values } = parseArgs({
  options: { ...sharedOptions(200), documents: { type: 'string', default: '60' } },
});

async function proveAll(stack: EtlStack, seed: number): Promise<boolean> {
  let all = true;
  const { fault: wanted = '' } = values;
  for (const fault of plantedFaultNames.filter((name) => name.includes(wanted))) {
    const { caught, before, findings, seconds } = await proveFault(stack, fault, seed);
    const [first] = findings;
    say(
      `planted: ${fault.padEnd(32)} ${caught ? 'caught' : 'MISSED'} after ${seconds.toFixed(1)} s ${first === undefined ? '' : `(${first.kind} by ${first.path}: ${first.detail}; ${findings.length} in all)`}`,
    );
    for (const { kind, path, detail } of before)
      say(`  before it was planted: ${kind} by ${path}: ${detail}`);
    all &&= caught && before.length === 0;
  }
  return all;
}

async function main(): Promise<number> {
  const { only } = values;
  if (values.help) {
    say(HELP);
    return 0;
  }
  if (only !== undefined && !isKillPoint(only)) {
    say(`--only ${only}: there is no such kill point\n\n${HELP}`);
    return 2;
  }
  const seed = seedOf(values);
  say(`seed ${seed}`);
  const held = await withStack(new EtlStack({ say }), values, async (stack) => {
    let ok = true;
    if (!values.planted && values.fault === undefined) {
      const run = {
        seed,
        kills: Number(values.kills),
        documents: Number(values.documents),
        only,
        say,
      };
      const report = await runChaos(stack, run);
      say(`\n${printReport(report)}\n`);
      ok = verdictOf(report) === 'PASS';
    }
    if (!values['no-planted'] && only === undefined) ok = (await proveAll(stack, seed)) && ok;
    return ok;
  });
  return held ? 0 : 1;
}

await runToExitCode(main, say);
