import { execFileSync } from 'node:child_process';
import { fork } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { cpus, loadavg, totalmem } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import Table from 'cli-table3';
import {
  benchPurpose,
  benchRow,
  startInstallation,
  type Installation,
} from '../inference/installation.js';
import { quantile } from '../inference/load.js';
import type { LoadOrder, LoadResult, Outcome, Shot } from './load-order.js';

// `npm run bench:overload`: what an API of its own process, compiled as in a container, does when twice as much is asked as it
// can answer (reliability.md §7, §14): capacity in closed loops, then an open loop at twice that from a process of its own, with
// a kill switch in the middle.

const { values: options } = parseArgs({
  options: {
    seconds: { type: 'string', default: '20' },
    factor: { type: 'string', default: '2' },
    callers: { type: 'string', default: '8,16,32' },
    write: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});

const help = `npm run bench:overload -- [options]

  --seconds <n>   length of the flood; default 20
  --factor <n>    requests a second of the flood in capacities; default 2
  --callers <n,…> closed loops whose best one is the capacity; default 8,16,32
  --write         also writes bench/results/overload.json
`;

const CAPACITY_MS = 8_000;
const WARM_UP_MS = 8_000;
const PATIENCE_MS = 20_000;
/** Connections that the callers of the flood have open when it begins. */
const CONNECTIONS = 256;
const OPEN_MS = 500;
const SETTLE_MS = 3_000;

type Json = Record<string, unknown>;

async function call(of: {
  url: string;
  key: string;
  operation: string;
  body?: Json;
  headers?: Record<string, string>;
}): Promise<{ status: number; body: Json }> {
  const [method = 'GET', path = '/'] = of.operation.split(' ');
  const response = await fetch(`${of.url}${path}`, {
    method,
    headers: {
      authorization: `Bearer ${of.key}`,
      'idempotency-key': randomUUID(),
      ...(of.body === undefined ? {} : { 'content-type': 'application/json' }),
      ...of.headers,
    },
    ...(of.body === undefined ? {} : { body: JSON.stringify(of.body) }),
  });
  return { status: response.status, body: (await response.json()) as Json };
}

async function keyOf({ api: url, adminKey }: Installation, name: string, roles: string[]) {
  const admin = (operation: string, body: Json) => call({ url, key: adminKey, operation, body });
  const made = await admin('POST /v1/principals', { kind: 'person', name, roles });
  const issued = await admin('POST /v1/api-keys', { principalId: made.body.id, env: 'prod' });
  return String(issued.body.key);
}

const inference = (installation: Installation) =>
  call({
    url: installation.api,
    key: installation.serviceKey,
    operation: 'POST /v1/inferences',
    headers: { prefer: 'wait=20' },
    body: {
      model: 'bench',
      inputs: benchRow,
      purpose: benchPurpose,
      subject: { key: 'customer-1' },
    },
  });

/** Reads that Postgres answers, and audited writes in one transaction each: three of four are reads. */
async function shotsOf(installation: Installation): Promise<Shot[]> {
  const viewer = await keyOf(installation, 'viewer', ['viewer']);
  const answered = await inference(installation);
  if (answered.status !== 200) throw new Error(`no inference: ${JSON.stringify(answered)}`);
  const feedback = {
    decisionId: answered.body.id,
    type: 'comment',
    value: 'comment {n}',
    source: { kind: 'system', id: 'bench' },
    observedAt: new Date().toISOString(),
  };
  const read = (path: string): Shot => ({ method: 'GET', path, key: viewer });
  return [
    read('/v1/models'),
    {
      method: 'POST',
      path: '/v1/feedback',
      key: installation.serviceKey,
      body: JSON.stringify(feedback),
    },
    read('/v1/principals'),
    read('/v1/me'),
  ];
}

/** The callers' process. */
function openCallers(): { ask: (order: LoadOrder) => Promise<LoadResult>; close: () => void } {
  const path = fileURLToPath(new URL('./load.child.ts', import.meta.url));
  const child = fork(path, [], { execArgv: ['--import', 'tsx'], serialization: 'advanced' });
  return {
    ask: async (order) => {
      child.send(order);
      const [result] = (await once(child, 'message')) as [LoadResult];
      return result;
    },
    close: () => child.disconnect(),
  };
}

const isGood = ({ status }: Outcome): boolean => status >= 200 && status < 300;
const isRefusal = ({ status }: Outcome): boolean => status === 429 || status === 503;
const times = (outcomes: Outcome[]): number[] => outcomes.map(({ ms }) => ms).sort((a, b) => a - b);
const isWrite = ({ status }: Outcome): boolean => status === 201;
const rate = ({ outcomes, seconds }: LoadResult, is = isGood): number =>
  outcomes.filter(is).length / seconds;

/** What a person sees who switches everything off in the middle of it. */
async function drillOf(installation: Installation, operator: string) {
  const since = performance.now();
  const body = {
    scope: { level: 'model', model: 'bench' },
    mode: 'fail_closed',
    reason: 'a drill',
  };
  const at = { url: installation.api, key: operator };
  const { status } = await call({ ...at, operation: 'POST /v1/kill-switches', body });
  const setMs = performance.now() - since;
  for (;;) {
    const { body: answer } = await inference(installation);
    const afterMs = performance.now() - since;
    if (answer.code === 'KILLED') return { status, setMs, inForceMs: afterMs };
    if (afterMs > PATIENCE_MS) return { status, setMs, inForceMs: Infinity };
    await delay(50);
  }
}

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

interface Measured {
  capacity: { callers: number; perSecond: number; writes: number; p99: number };
  flood: LoadResult;
  offered: number;
  drill: Awaited<ReturnType<typeof drillOf>>;
  alive: boolean;
}

async function measure(installation: Installation): Promise<Measured> {
  const { api: url, processes } = installation;
  const operator = await keyOf(installation, 'operator', ['operator']);
  const shots = await shotsOf(installation);
  const callers = openCallers();
  try {
    const loops = options.callers.split(',').map(Number);
    await callers.ask({ url, shots, ms: WARM_UP_MS, load: { callers: loops[0] ?? 8 } });
    let capacity = { callers: 0, perSecond: 0, writes: 0, p99: NaN };
    for (const each of loops) {
      const result = await callers.ask({ url, shots, ms: CAPACITY_MS, load: { callers: each } });
      const perSecond = rate(result);
      process.stdout.write(`${each} callers: ${perSecond.toFixed(0)} answers a second\n`);
      if (perSecond > capacity.perSecond)
        capacity = {
          callers: each,
          perSecond,
          writes: rate(result, isWrite),
          p99: quantile(times(result.outcomes.filter(isGood)), 0.99),
        };
    }
    if (capacity.perSecond === 0) throw new Error('nothing was answered');
    const offered = capacity.perSecond * Number(options.factor);
    const ms = Number(options.seconds) * 1_000;
    // Callers that keep their connections: a new one waits for a turn of the event loop of its own (libuv accepts one a turn).
    await callers.ask({ url, shots, ms: OPEN_MS, load: { callers: CONNECTIONS } });
    await delay(SETTLE_MS);
    const flooding = callers.ask({ url, shots, ms, load: { perSecond: offered } });
    await delay(ms / 2);
    const drill = await drillOf(installation, operator);
    const flood = await flooding;
    return { capacity, flood, offered, drill, alive: Object.values(processes.ours).every(isAlive) };
  } finally {
    callers.close();
  }
}

const [cpu] = cpus();
const load = (): string => (loadavg()[0] ?? 0).toFixed(1);
const before = load();

async function report({ capacity, flood, offered, drill, alive }: Measured): Promise<void> {
  const { outcomes } = flood;
  const refused = outcomes.filter(isRefusal);
  const others = outcomes.filter((each) => !isGood(each) && !isRefusal(each));
  const goodput = rate(flood);
  const p99 = (of: Outcome[]): number => quantile(times(of), 0.99);
  const rows: [string, number, string, boolean | undefined][] = [
    ['capacity, answers/s', capacity.perSecond, '', undefined],
    ['offered, requests/s', offered, '', undefined],
    ['goodput, answers/s', goodput, '', undefined],
    ['of capacity writes/s', capacity.writes, '', undefined],
    ['of goodput writes/s', rate(flood, isWrite), '', undefined],
    [
      'goodput / capacity, %',
      (100 * goodput) / capacity.perSecond,
      '≥ 90',
      goodput >= 0.9 * capacity.perSecond,
    ],
    [
      'answered p99, ms',
      p99(outcomes.filter(isGood)),
      `≤ ${(2 * capacity.p99).toFixed(0)}`,
      p99(outcomes.filter(isGood)) <= 2 * capacity.p99,
    ],
    ['refused', refused.length, '', undefined],
    ['refused p50, ms', quantile(times(refused), 0.5), '', undefined],
    ['refused p99, ms', p99(refused), '< 50', p99(refused) < 50],
    [
      'refused without Retry-After',
      refused.filter(({ retryAfter }) => !retryAfter).length,
      '0',
      refused.every(({ retryAfter }) => retryAfter),
    ],
    ['neither answered nor refused', others.length, '0', others.length === 0],
    ['kill switch set, ms', drill.setMs, '201', drill.status === 201],
    ['kill switch in force, ms', drill.inForceMs, '≤ 1000', drill.inForceMs <= 1_000],
    ['processes that died', alive ? 0 : 1, '0', alive],
  ];
  const head = ['', 'measured', 'target', ''];
  const table = new Table({ head, style: { head: [], border: [] } });
  const verdict = (met: boolean | undefined): string =>
    met === undefined ? '' : met ? 'met' : 'MISSED';
  for (const [name, value, target, met] of rows)
    table.push([name, value.toFixed(value < 10 ? 1 : 0), target, verdict(met)]);
  const machine =
    `${cpus().length} × ${cpu?.model.trim() ?? 'CPU'}, ${Math.round(totalmem() / 2 ** 30)} GiB, ` +
    `Node ${process.versions.node}, load average ${before} before and ${load()} after`;
  process.stdout.write(`${table.toString()}\n${machine}\n`);
  const statuses = Object.groupBy(outcomes, ({ status }) => status);
  for (const [status, of] of Object.entries(statuses))
    process.stdout.write(`  ${status}: ${of?.length ?? 0}\n`);
  if (!options.write) return;
  const commit = execFileSync('git', ['rev-parse', '--short', 'HEAD'], { encoding: 'utf8' }).trim();
  const figures = rows.map(([name, ours, target, met]) => ({
    case: 'flood',
    metric: name,
    ours,
    target,
    met,
  }));
  const path = new URL('../results/overload.json', import.meta.url);
  const result = { name: 'overload', commit, machine, rows: figures };
  await writeFile(path, `${JSON.stringify(result, null, 2)}\n`);
}

async function main(): Promise<void> {
  const off = Object.fromEntries(
    ['ADDRESS', 'KEY', 'TENANT', 'FAILURES'].map((of) => [`ANNEAL_RATE_${of}_PER_MINUTE`, '0']),
  );
  // What is measured is the limit of the process, not those of its callers.
  const settings = {
    ...off,
    ANNEAL_API_CONNECTION_COUNT: '20000',
    ANNEAL_API_ADDRESS_CONNECTION_COUNT: '20000',
  };
  execFileSync('npm', ['run', '--silent', 'build'], { stdio: 'inherit' });
  const installation = await startInstallation({ settings, alone: true });
  try {
    await report(await measure(installation));
  } finally {
    await installation.stop();
  }
}

if (options.help) process.stdout.write(help);
else await main();
