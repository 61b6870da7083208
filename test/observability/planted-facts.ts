import { mkdir, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Ground } from './processes-world.js';

/** Temporal takes ids of 1 to 1,000 characters: what is due under this one, or under none, cannot be carried out. */
const TOO_LONG = 'x'.repeat(1_001);
/** The newest pepper was made so long ago. */
export const PEPPER_DAYS = 400;
const DAY_MS = 86_400_000;

const inference = (of: { id: string; deadline: string; settled: string }) =>
  `insert into inference (tenant_id, inference_id, principal_id, env, model, version, arm, routing_epoch, state, purpose,
     plan, warnings, inputs_digest, inputs, request_id, workflow_id, created_at, deadline_at, settled_at)
   values ($1, '${of.id}', 'p', 'prod', 'm', 1, 'champion', 1, 'RUNNING', 'p', '{}', '[]', '', '', '', '', now() - interval '3 hours',
     ${of.deadline}, ${of.settled})`;

/**
 * One fact for each alert that pages because of what the stores, the engine or the key folder say: a start and a wake that
 * cannot be carried out, an inference an hour past its deadline, one that is settled without a decision row, a divergence
 * that waits for a person, a task that no worker takes, a pepper of last year, and a backup folder that lacks WAL.
 */
export async function plantFacts({
  database,
  temporal,
  tenant,
  keyFolder,
  backupFolder,
}: Ground): Promise<void> {
  const plant = (sql: string) => database.asSuperuser(sql, [tenant]);
  await plant(
    `insert into intent (tenant_id, workflow_id, workflow_type, task_queue, input, input_digest, options, due_at)
     values ($1, '${TOO_LONG}', 'infer', 'inference', jsonb_build_object('tenant', $1::text), '',
       '{"summary":"","searchAttributes":{},"priorityKey":3}', now() - interval '20 minutes')`,
  );
  await plant(
    `insert into wake (tenant_id, fact_id, workflow_id, created_at)
     values ($1, 'fact', '', now() - interval '10 minutes')`,
  );
  await plant(inference({ id: 'inf_1', deadline: `now() - interval '1 hour'`, settled: 'null' }));
  await plant(inference({ id: 'inf_2', deadline: 'now()', settled: 'now()' }));
  await plant(
    `insert into divergence (tenant_id, divergence_id, kind, action, state, workflow_id, workflow_type, detail)
     values ($1, 'div_1', 'EFFECT_IN_DOUBT', 'HELD', 'OPEN', 'infer/1', 'infer', '')`,
  );
  await temporal.client.workflow.start('trainModel', {
    workflowId: 'nobody-takes-it',
    taskQueue: 'training',
    args: [],
  });
  const made = new Date(Date.now() - PEPPER_DAYS * DAY_MS);
  await utimes(join(keyFolder, 'pepper-v1.key'), made, made);
  await mkdir(join(backupFolder, 'wal'), { recursive: true });
  // The first segment of a cluster; by now it writes a later one.
  await writeFile(join(backupFolder, 'wal', '000000010000000000000001.sealed'), '');
  for (let switched = 0; switched < 2; switched++) {
    await plant(
      `select pg_logical_emit_message(false, $1::text, 'a segment with nothing in it is not switched'::text)`,
    );
    await database.asSuperuser('select pg_switch_wal()');
  }
}
