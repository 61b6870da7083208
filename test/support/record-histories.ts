import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { WorkflowExecutionInfo } from '@temporalio/client';
import { connectTemporal, type TemporalClient } from '../../src/adapters/temporal/connect.js';
import { loadConfig } from '../../src/config.js';
import { recordBadHistory } from './record-bad-history.js';
import { exportsOf, kebab, parseSource, projectRoot, readText } from './source-tree.js';
import { historyJson, payloadTexts, refusalOf, writeHistory } from './write-history.js';

// `npm run replay:record`: keeps the newest closed run of every workflow and situation as a history for the replay test.
// It reads the Temporal server that TEMPORAL_ADDRESS names, else the one of `npm start`.

const HELP = `npm run replay:record -- [options]

  --workflow <name>   this workflow only
  --replace           overwrite histories that are there; only before their workflow was ever released
  --bad               record test/replay/bad instead: a history that no current workflow produces`;

const EXAMINED_RUNS = 200;

/** States in which a workflow reaches what it was started for. */
const goodStates = new Set([
  ...['COMPLETED', 'SUCCEEDED', 'APPROVED', 'REGISTERED', 'PUBLISHED', 'LIVE', 'PROMOTED'],
  ...['DONE', 'STARTED', 'APPLIED', 'COMPACTED'],
]);

interface WorkflowName {
  name: string;
  capability: string;
}

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

interface HistoryEvent {
  activityTaskStartedEventAttributes?: { attempt?: number };
  workflowExecutionCancelRequestedEventAttributes?: object;
  workflowExecutionStartedEventAttributes?: { continuedExecutionRunId?: string };
  workflowExecutionCompletedEventAttributes?: object;
}

/** What the run stands for: how it ended, and what it met on its way. */
function situationOf(status: string, json: unknown): string {
  const { events = [] } = json as { events?: HistoryEvent[] };
  const has = (key: keyof HistoryEvent) => events.some((event) => event[key] !== undefined);
  if (status === 'CONTINUED_AS_NEW') return 'continued';
  if (status === 'CANCELLED') return 'cancelled';
  if (status === 'TIMED_OUT') return 'timed-out';
  if (status === 'FAILED') return 'failed';
  if (has('workflowExecutionCancelRequestedEventAttributes')) return 'cancelled';
  const result = payloadTexts(
    events.map((event) => event.workflowExecutionCompletedEventAttributes),
  ).join('');
  const state = /"(?:state|status)":"([A-Z_]+)"/.exec(result)?.[1];
  if (state !== undefined && !goodStates.has(state)) return kebab(state);
  const first = events[0]?.workflowExecutionStartedEventAttributes;
  if ((first?.continuedExecutionRunId ?? '') !== '') return 'after-continue';
  const retried = events.some(
    ({ activityTaskStartedEventAttributes: started }) => (started?.attempt ?? 1) > 1,
  );
  return retried ? 'retry' : 'happy';
}

async function record(
  { client }: TemporalClient,
  { name, capability }: WorkflowName,
  replace: boolean,
): Promise<number> {
  const kept = new Set<string>();
  const query = `WorkflowType = '${name}' AND Tenant = 'default' AND ExecutionStatus != 'Running'`;
  const examine = async ({ status, workflowId, runId }: WorkflowExecutionInfo): Promise<void> => {
    if (status.name === 'TERMINATED') return;
    const json = historyJson(await client.workflow.getHandle(workflowId, runId).fetchHistory());
    const situation = situationOf(status.name, json);
    const path = `${capability}/${kebab(name)}.${situation}.json`;
    if (kept.has(path)) return;
    const refusal = refusalOf(json);
    if (refusal !== undefined) {
      console.log(`  refused ${workflowId}: ${refusal}`);
      return;
    }
    kept.add(path);
    if (!replace && existsSync(join(projectRoot, 'test/replay', path))) {
      console.log(`  kept as it is: ${path}`);
      return;
    }
    await writeHistory(path, json);
    console.log(`  ${path}: ${workflowId}`);
  };
  let examined = 0;
  for await (const run of client.workflow.list({ query })) {
    await examine(run);
    examined += 1;
    if (examined === EXAMINED_RUNS) break;
  }
  if (kept.size === 0) console.log(`  ${name}: no closed run of tenant default`);
  return kept.size;
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      workflow: { type: 'string' },
      replace: { type: 'boolean', default: false },
      bad: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    console.log(HELP);
    return 0;
  }
  const { temporal } = loadConfig();
  const address = temporal.address ?? `127.0.0.1:${temporal.port}`;
  const connected = await connectTemporal({
    connection: temporal.connection(address),
    namespace: temporal.namespace,
    patienceMs: 2_000,
  });
  try {
    console.log(`histories of ${address}, namespace ${temporal.namespace}`);
    if (values.bad) {
      await recordBadHistory(connected, { address, namespace: temporal.namespace });
      return 0;
    }
    const wanted = exportedWorkflows().filter(({ name }) => (values.workflow ?? name) === name);
    let missing = 0;
    for (const each of wanted)
      if ((await record(connected, each, values.replace)) === 0) missing += 1;
    return missing === 0 ? 0 : 1;
  } finally {
    await connected.close();
  }
}

process.exitCode = await main();
