import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { connectTemporal, type TemporalClient } from '../../src/adapters/temporal/connect.js';
import { loadConfig } from '../../src/config.js';
import { pickHistories, type Picked } from './pick-histories.js';
import { faults } from './plant-fault.js';
import { recordBadHistory } from './record-bad-history.js';
import { exportsOf, kebab, parseSource, projectRoot, readText } from './source-tree.js';
import { jest, withServers } from './with-servers.js';
import { writeHistory } from './write-history.js';

// `npm run replay:record`: keeps a closed run of every workflow and situation as a history for the replay test.

const HELP = `npm run replay:record -- [options] [test file patterns]

Keeps the newest closed run of every workflow and situation from the Temporal server that TEMPORAL_ADDRESS names, else from
the one of \`npm start\`.

  --workflow <name>   this workflow only
  --replace           overwrite histories that are there; only before their workflow was ever released
  --from-tests        run the workflow and API tests instead, or those whose path matches a pattern, once as they are and once
                      for each fault that every run then meets (${faults.join(', ')}), and keep the longest run of each
                      situation; tests may fail under a fault
  --fault <name>      with --from-tests: only this fault
  --bad               record test/replay/bad instead: a history that no current workflow produces`;

interface WorkflowName {
  name: string;
  capability: string;
}

interface Wanted {
  workflows: WorkflowName[];
  replace: boolean;
}

const say = (line: string): void => console.log(line);

/** The workflows of src/workflows/index.ts and the capability that each comes from. */
function exportedWorkflows(): WorkflowName[] {
  const text = readText('src/workflows/index.ts');
  return [...text.matchAll(/^export \{[^}]*\} from '\.\/([a-z]+)\/index\.js';$/gm)].flatMap(
    ([statement, capability = '']) => {
      const { values } = exportsOf(parseSource('index.ts', statement));
      return values.map((name) => ({ name, capability }));
    },
  );
}

async function keep(
  { name, capability }: WorkflowName,
  picked: ReadonlyMap<string, Picked>,
  replace: boolean,
): Promise<void> {
  for (const [situation, { workflowId, json }] of picked) {
    const path = `${capability}/${kebab(name)}.${situation}.json`;
    if (!replace && existsSync(join(projectRoot, 'test/replay', path))) {
      say(`  kept as it is: ${path}`);
      continue;
    }
    await writeHistory(path, json);
    say(`  ${path}: ${workflowId}`);
  }
}

/** Keeps what a server has. Answers 1 where a workflow has no closed run there. */
async function recordFromServer(
  { client }: TemporalClient,
  { workflows, replace }: Wanted,
): Promise<number> {
  let missing = 0;
  for (const workflow of workflows) {
    const picked = await pickHistories(client, { workflow: workflow.name, choose: 'newest', say });
    await keep(workflow, picked, replace);
    if (picked.size > 0) continue;
    say(`  ${workflow.name}: no closed run`);
    missing += 1;
  }
  return missing === 0 ? 0 : 1;
}

/** Test files have a namespace each: keeps the run of each situation that says most of all of them. */
async function recordNamespaces(address: string, { workflows, replace }: Wanted): Promise<void> {
  const connect = (namespace: string) =>
    connectTemporal({ connection: { address }, namespace, patienceMs: 20_000 });
  const { connection, close } = await connect('default');
  const { namespaces } = await connection.workflowService.listNamespaces({ pageSize: 1_000 });
  await close();
  const longest = new Map<WorkflowName, Map<string, Picked>>();
  for (const { namespaceInfo } of namespaces) {
    const connected = await connect(namespaceInfo?.name ?? 'default');
    for (const workflow of workflows) {
      const kept = longest.get(workflow) ?? new Map<string, Picked>();
      longest.set(workflow, kept);
      const options = { workflow: workflow.name, choose: 'longest' as const, say };
      for (const [situation, picked] of await pickHistories(connected.client, options)) {
        if ((kept.get(situation)?.events ?? 0) < picked.events) kept.set(situation, picked);
      }
    }
    await connected.close();
  }
  for (const [workflow, picked] of longest) await keep(workflow, picked, replace);
}

async function recordFromTests(
  wanted: Wanted,
  { patterns, fault }: { patterns: string[]; fault: string | undefined },
): Promise<number> {
  for (const planted of fault === undefined ? ['none', ...faults] : [fault]) {
    say(`the tests with fault ${planted}`);
    await withServers(async (env) => {
      const chosen = patterns.length === 0 ? [] : ['--testPathPatterns', ...patterns];
      const projects = ['--selectProjects', 'workflow', 'api', '--maxWorkers=2'];
      await jest([...projects, ...chosen], { ...env, ANNEAL_TEST_FAULT: planted });
      await recordNamespaces(env['ANNEAL_TEST_TEMPORAL_ADDRESS'] ?? '', wanted);
      return 0;
    });
  }
  return 0;
}

async function recordFromStack(wanted: Wanted, bad: boolean): Promise<number> {
  const { temporal } = loadConfig();
  const address = temporal.address ?? `127.0.0.1:${temporal.port}`;
  const connected = await connectTemporal({
    connection: temporal.connection(address),
    namespace: temporal.namespace,
    patienceMs: 2_000,
  });
  try {
    say(`histories of ${address}, namespace ${temporal.namespace}`);
    if (!bad) return await recordFromServer(connected, wanted);
    await recordBadHistory(connected, { address, namespace: temporal.namespace });
    return 0;
  } finally {
    await connected.close();
  }
}

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      workflow: { type: 'string' },
      replace: { type: 'boolean', default: false },
      'from-tests': { type: 'boolean', default: false },
      fault: { type: 'string' },
      bad: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    say(HELP);
    return 0;
  }
  const workflows = exportedWorkflows().filter(({ name }) => (values.workflow ?? name) === name);
  const wanted = { workflows, replace: values.replace };
  return values['from-tests']
    ? recordFromTests(wanted, { patterns: positionals, fault: values.fault })
    : recordFromStack(wanted, values.bad);
}

process.exitCode = await main();
