import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { cpus, loadavg, totalmem } from 'node:os';
import { parseArgs } from 'node:util';
import { Client, Connection } from '@temporalio/client';
import Table from 'cli-table3';
import pg from 'pg';
import { benchPurpose, benchRow, startInstallation, type Installation } from './installation.js';
import { cpuTimes } from './cpu-time.js';
import { loadRound, quantile, type Round, type Shot } from './load.js';

// `npm run bench:inference`: the durable lane with a local model against a bare Express route → workflow → one no-op
// activity → result (gateway.md §17, item 6). Same Temporal server, same namespace, rounds interleaved, medians.

const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '10' },
    'warm-up': { type: 'string', default: '10' },
    concurrency: { type: 'string', default: '1,16' },
    write: { type: 'boolean', default: false },
  },
});
const rounds = Number(options.rounds);
const ms = Number(options.seconds) * 1000;

interface Row {
  case: string;
  metric: string;
  ours: number;
  baseline: number;
  ratio: number;
}

const shots = ({ api, bare, serviceKey }: Installation): { ours: Shot; baseline: Shot } => ({
  ours: {
    url: new URL('/v1/inferences', api),
    headers: () => ({
      authorization: `Bearer ${serviceKey}`,
      'content-type': 'application/json',
      'idempotency-key': randomUUID(),
      prefer: 'wait=30',
    }),
    body: JSON.stringify({
      model: 'bench',
      inputs: benchRow,
      purpose: benchPurpose,
      subject: { key: 'customer-1' },
    }),
  },
  baseline: {
    url: new URL('/bare', bare),
    headers: () => ({ 'content-type': 'application/json' }),
    body: JSON.stringify(benchRow),
  },
});

const median = (all: number[]): number =>
  quantile(
    [...all].sort((a, b) => a - b),
    0.5,
  );
const metrics = { throughput: 'perSecond', p50: 'p50', p95: 'p95', p99: 'p99' } as const;

/** A round and the CPU milliseconds that each process spent per answer. */
interface Measured extends Round {
  cpu: Record<string, number>;
}

async function measured(
  shot: Shot,
  how: { concurrency: number; ms: number },
  processes: Record<string, number>,
): Promise<Measured> {
  const before = cpuTimes(processes);
  const round = await loadRound(shot, how);
  const after = cpuTimes(processes);
  const cpu = Object.fromEntries(
    Object.entries(after ?? {}).map(([name, ms]) => [
      name,
      (ms - (before?.[name] ?? 0)) / round.count,
    ]),
  );
  return { ...round, cpu };
}

const total = (cpu: Record<string, number>): number =>
  Object.values(cpu).reduce((sum, ms) => sum + ms, 0);

function cpuRows(name: string, ours: Measured[], baseline: Measured[]): Row[] {
  const parts = Object.keys(ours[0]?.cpu ?? {});
  const of = (all: Measured[], read: (round: Measured) => number): number => median(all.map(read));
  const row = (metric: string, read: (round: Measured) => number): Row => {
    const [mine, theirs] = [of(ours, read), of(baseline, read)];
    return { case: name, metric, ours: mine, baseline: theirs, ratio: mine / theirs };
  };
  if (parts.length === 0) return [];
  return [
    row('cpu ms', ({ cpu }) => total(cpu)),
    ...parts.map((part) => row(`cpu ms ${part}`, ({ cpu }) => cpu[part] ?? 0)),
  ];
}

function rowsOf(name: string, ours: Measured[], baseline: Measured[]): Row[] {
  const timed = Object.entries(metrics).map(([metric, key]) => {
    const [a, b] = [ours, baseline].map((all) => median(all.map((round) => round[key])));
    const [mine, theirs] = [a ?? Number.NaN, b ?? Number.NaN];
    return { case: name, metric, ours: mine, baseline: theirs, ratio: mine / theirs };
  });
  return [...timed, ...cpuRows(name, ours, baseline)];
}

/** Events, bytes and state transitions of one run. */
async function costOf(client: Client, workflowId: string): Promise<Record<string, number>> {
  const handle = client.workflow.getHandle(workflowId);
  await handle.result();
  const { historyLength, historySize, raw } = await handle.describe();
  return {
    events: historyLength,
    bytes: Number(historySize ?? 0),
    'state transitions': Number(raw.workflowExecutionInfo?.stateTransitionCount ?? 0),
  };
}

async function costRows(at: Installation, last: { ours: Round; baseline: Round }): Promise<Row[]> {
  const connection = await Connection.connect({ address: at.temporalAddress });
  const client = new Client({ connection });
  const ours = await costOf(client, last.ours.workflowId);
  const baseline = await costOf(client, last.baseline.workflowId);
  await connection.close();
  return Object.keys(ours).map((metric) => {
    const [a, b] = [ours[metric] ?? 0, baseline[metric] ?? 0];
    return { case: 'run', metric, ours: a, baseline: b, ratio: a / b };
  });
}

/** Gates: as many decision rows as answers, each inference settled once. @throws where they do not hold */
async function checkRows(at: Installation, answers: number): Promise<void> {
  const client = new pg.Client({ connectionString: at.adminUrl });
  await client.connect();
  const { rows } = await client.query<{ inferences: number; decisions: number; leaves: number }>(
    `select (select count(*)::int from inference) as inferences, (select count(*)::int from decision) as decisions,
       (select count(*)::int from audit_leaf) as leaves`,
  );
  await client.end();
  const [found] = rows;
  process.stdout.write(`answers ${answers}, ${JSON.stringify(found)}\n`);
  if (found?.decisions !== answers || found.leaves !== answers || found.inferences !== answers) {
    throw new Error('answers and decision rows differ');
  }
}

async function measure(at: Installation): Promise<Row[]> {
  const { ours, baseline } = shots(at);
  let answers = 0;
  const { processes } = at;
  const ask = async (concurrency: number, duration: number): Promise<Measured> => {
    const round = await measured(ours, { concurrency, ms: duration }, processes.ours);
    answers += round.count;
    return round;
  };
  const rows: Row[] = [];
  let last: { ours: Round; baseline: Round } | undefined;
  for (const concurrency of options.concurrency.split(',').map(Number)) {
    const warmUp = Number(options['warm-up']) * 1000;
    await ask(concurrency, warmUp);
    await loadRound(baseline, { concurrency, ms: warmUp });
    const all: { ours: Measured[]; baseline: Measured[] } = { ours: [], baseline: [] };
    for (let round = 0; round < rounds; round++) {
      const mine = await ask(concurrency, ms);
      const theirs = await measured(baseline, { concurrency, ms }, processes.baseline);
      all.ours.push(mine);
      all.baseline.push(theirs);
      last = { ours: mine, baseline: theirs };
      process.stdout.write(
        `c=${concurrency} round ${round + 1}: ours ${mine.perSecond.toFixed(1)}/s p50 ${mine.p50.toFixed(1)} ms, ` +
          `baseline ${theirs.perSecond.toFixed(1)}/s p50 ${theirs.p50.toFixed(1)} ms, ` +
          `cpu ${total(mine.cpu).toFixed(1)} against ${total(theirs.cpu).toFixed(1)} ms, load ${(loadavg()[0] ?? 0).toFixed(1)}\n`,
      );
    }
    rows.push(...rowsOf(`c=${concurrency}`, all.ours, all.baseline));
  }
  if (last !== undefined) rows.push(...(await costRows(at, last)));
  await checkRows(at, answers);
  return rows;
}

function print(rows: Row[]): void {
  const table = new Table({
    head: ['case', 'metric', 'ours', 'baseline', 'ratio'],
    style: { head: [], border: [], compact: true },
  });
  const short = (value: number): string =>
    Number.isInteger(value) ? String(value) : value.toFixed(1);
  for (const row of rows) {
    table.push([row.case, row.metric, short(row.ours), short(row.baseline), row.ratio.toFixed(2)]);
  }
  process.stdout.write(`${table.toString()}\n`);
}

const installation = await startInstallation();
try {
  const rows = await measure(installation);
  print(rows);
  if (options.write) {
    const commit = execFileSync('git', ['rev-parse', '--short', 'HEAD']).toString().trim();
    const machine = `${cpus().length} × ${cpus()[0]?.model ?? 'cpu'}, ${Math.round(totalmem() / 2 ** 30)} GiB, Node ${process.versions.node}, load average ${(loadavg()[0] ?? 0).toFixed(1)} at the end`;
    const path = new URL('../results/inference.json', import.meta.url);
    await writeFile(
      path,
      `${JSON.stringify({ name: 'inference', commit, machine, rows }, null, 2)}\n`,
    );
  }
} finally {
  await installation.stop();
}
