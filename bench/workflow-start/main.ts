import { readFileSync } from 'node:fs';
import { cpus, loadavg } from 'node:os';
import { parseArgs } from 'node:util';
import { Runtime, Worker, DefaultLogger } from '@temporalio/worker';
import Table from 'cli-table3';
import { createSilentPlugin } from '../../src/main/telemetry.js';
import { buildWorkflowBundle } from '../../src/main/workflow-bundle.js';
import { quantile } from '../inference/load.js';

// `npm run bench:workflow-start`: what the engine spends on a run before the run does anything, with the modules of the bundle
// shared by all runs and evaluated for each. A short recorded history is replayed again and again; no server is needed.

const { values: options } = parseArgs({
  options: {
    runs: { type: 'string', default: '200' },
    rounds: { type: 'string', default: '5' },
    help: { type: 'boolean', default: false },
  },
});
const runs = Number(options.runs);

const help = `npm run bench:workflow-start -- [options]

  --runs <n>    runs that are replayed in a round; default 200
  --rounds <n>  rounds of each kind, in turn; what is printed is their median; default 5
`;

const history: unknown = JSON.parse(
  readFileSync(
    new URL('../../test/replay/etl/start-due-work.skipped.json', import.meta.url),
    'utf8',
  ),
);

/** CPU milliseconds of this process, all its threads, for one replayed run. */
async function cpuMsOf(code: string): Promise<number> {
  const replay = async (count: number): Promise<void> => {
    const same = Array.from({ length: count }, () => ({ workflowId: 'bench', history }));
    const worker = { workflowBundle: { code }, plugins: [createSilentPlugin()] };
    for await (const { error } of Worker.runReplayHistories(worker, same))
      if (error !== undefined) throw error;
  };
  const cpuMs = async (work: Promise<void>): Promise<number> => {
    const before = process.cpuUsage();
    await work;
    const { user, system } = process.cpuUsage(before);
    return (user + system) / 1_000;
  };
  // Loading the bundle into a worker is no part of a run.
  const loading = await cpuMs(replay(1));
  return ((await cpuMs(replay(runs + 1))) - loading) / runs;
}

async function main(): Promise<void> {
  Runtime.install({ logger: new DefaultLogger('ERROR') });
  const kinds = [
    { name: 'evaluated for each run', ...(await buildWorkflowBundle(false)), ms: [] as number[] },
    { name: 'shared by all runs', ...(await buildWorkflowBundle()), ms: [] as number[] },
  ];
  for (let round = 0; round < Number(options.rounds); round++)
    for (const kind of kinds) kind.ms.push(await cpuMsOf(kind.code));
  const table = new Table({
    head: ['modules of the bundle', 'CPU ms a run, median', 'least', 'most'],
    style: { head: [], border: [] },
  });
  for (const { name, ms } of kinds) {
    const sorted = ms.sort((a, b) => a - b);
    table.push([name, ...[0.5, 0, 1].map((at) => quantile(sorted, at).toFixed(1))]);
  }
  const [cpu] = cpus();
  process.stdout.write(
    `${table.toString()}\n${cpus().length} × ${cpu?.model.trim() ?? 'CPU'}, Node ${process.versions.node}, ` +
      `load average ${(loadavg()[0] ?? 0).toFixed(1)}\n`,
  );
}

if (options.help) process.stdout.write(help);
else await main();
