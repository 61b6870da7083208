import type { Client } from '@temporalio/client';
import { DefaultLogger, Runtime, Worker } from '@temporalio/worker';
import { z } from 'zod';
import { pause } from '../../support/pause.js';
import type { Evidence, Judgement, Sql } from './evidence.js';
import { readHistories } from './kept-histories.js';

// I9 and I10: nothing is left over, and every history is one that the workflows of today would write.

/** What may be under way; each has to come to 0. */
const backlogs: readonly (readonly [string, string])[] = [
  ['intents not delivered', 'select count(*)::int as n from intent where delivered_at is null'],
  ['wakes not delivered', 'select count(*)::int as n from wake where delivered_at is null'],
  ['inferences not settled', 'select count(*)::int as n from inference where settled_at is null'],
  [
    'changes of documents not applied',
    `select count(*)::int as n from etl_change_event where state in ('PENDING', 'CLAIMED')`,
  ],
  ['writes of vectors in doubt', `select count(*)::int as n from etl_intent where state = 'OPEN'`],
  ['audit leaves not sealed', 'select count(*)::int as n from audit_leaf where sealed_seq is null'],
];

/** What is left now, by name. */
async function backlogOf(sql: Sql): Promise<[string, number][]> {
  const left: [string, number][] = [];
  for (const [name, text] of backlogs) {
    const [row] = await sql(text);
    const count = Number(row?.['n']);
    if (count > 0) left.push([name, count]);
  }
  return left;
}

/** Entities run for as long as there is something to look at. */
const entities = new Set(['watchSource']);

/** Runs that could end and have not. */
async function countRunning(client: Client): Promise<number> {
  const others = [...entities].map((type) => ` and WorkflowType != '${type}'`).join('');
  return (await client.workflow.count(`ExecutionStatus = 'Running'${others}`)).count;
}

/** Waits until nothing is left. Answers the milliseconds it took; undefined where it took longer. */
export async function untilNothingIsLeft(
  { sql, client }: { sql: Sql; client: Client },
  patienceMs: number,
): Promise<number | undefined> {
  const since = performance.now();
  for (;;) {
    const rows = (await backlogOf(sql)).length;
    if (rows === 0 && (await countRunning(client)) === 0) return performance.now() - since;
    if (performance.now() - since > patienceMs) return undefined;
    await pause(250);
  }
}

/** Why a run was ended from outside, as its history says. */
const endedSchema = z.object({
  events: z.array(
    z.object({
      workflowExecutionTerminatedEventAttributes: z.object({ reason: z.string() }).optional(),
    }),
  ),
});

function reasonOf(history: unknown): string {
  const last = endedSchema.parse(history).events.at(-1);
  const reason = last?.workflowExecutionTerminatedEventAttributes?.reason;
  return reason === undefined ? '' : `: ${reason}`;
}

/** I9: nothing waits and nothing runs that could have ended. */
export async function judgeBacklog({ sql, setup }: Evidence, tookMs?: number): Promise<Judgement> {
  const left = await backlogOf(sql);
  const findings = left.map(([name, count]) => `${count} ${name}`);
  let runs = 0;
  for await (const { workflowId, type, status, history } of readHistories(setup.historiesFile)) {
    runs += 1;
    if (status === 'RUNNING' && !entities.has(type)) findings.push(`${workflowId} still runs`);
    if (['FAILED', 'TERMINATED', 'TIMED_OUT'].includes(status))
      findings.push(`${workflowId} ended ${status}${reasonOf(history)}`);
  }
  return {
    id: 'I9',
    what: 'backlogs that are empty, and runs that have ended well',
    judged: backlogs.length + runs,
    findings,
    note: tookMs === undefined ? undefined : `empty after ${(tookMs / 1000).toFixed(1)} s`,
  };
}

let installed = false;

/** The core complains about every history that does not replay; the verdict says so itself. */
function beSilent(): void {
  if (installed) return;
  installed = true;
  Runtime.install({
    logger: new DefaultLogger('ERROR', () => undefined),
    telemetryOptions: { logging: { forward: {}, filter: { core: 'ERROR', other: 'ERROR' } } },
  });
}

/** Workflows of the queue `inference` run from a bundle of their own, beside the whole one. */
const inferenceOnly = new Set(['infer', 'inferShadow']);

async function* historiesFor(
  file: string,
  ofInference: boolean,
): AsyncGenerator<{ workflowId: string; history: unknown }> {
  for await (const { workflowId, type, history } of readHistories(file))
    if (inferenceOnly.has(type) === ofInference) yield { workflowId, history };
}

/** A replay says the same of the same histories and the same code, however often it is asked. */
const replayed = new Map<string, { findings: string[]; judged: number }>();

async function replay(file: string, codePath: string, ofInference: boolean) {
  const name = `${file}\0${codePath}\0${ofInference}`;
  const known = replayed.get(name);
  if (known !== undefined) return known;
  beSilent();
  const made: { findings: string[]; judged: number } = { findings: [], judged: 0 };
  const results = Worker.runReplayHistories(
    { workflowBundle: { codePath } },
    historiesFor(file, ofInference),
  );
  for await (const { workflowId, error } of results) {
    made.judged += 1;
    if (error !== undefined)
      made.findings.push(`${workflowId}: ${error.message.split('\n')[0]?.slice(0, 200)}`);
  }
  replayed.set(name, made);
  return made;
}

/** I10: every history replays against the code of today. */
export async function judgeHistories({ setup }: Evidence): Promise<Judgement> {
  const { bundle, historiesFile } = setup;
  const all = await replay(historiesFile, bundle, false);
  const inference = await replay(historiesFile, bundle.replace(/\.js$/, '.inference.js'), true);
  return {
    id: 'I10',
    what: 'histories that replay',
    judged: all.judged + inference.judged,
    findings: [...all.findings, ...inference.findings],
  };
}
