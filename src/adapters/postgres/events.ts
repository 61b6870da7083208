import type { StartOptions, StartRequest, WakeRequest } from '../../domain/events/contract.js';
import type { WorkflowQueue } from '../../domain/task-queues.js';
import type { Database } from './database.js';
import { appendAudit } from './mutate.js';

/** Intents as a workflow's first activity sees them (role anneal_worker). */
export const createIntentStore = (db: Database) => ({
  /** Reads the intent of one workflow and marks it as begun; undefined where there is none. */
  beginIntent: (tenant: string, workflowId: string): Promise<{ inputDigest: string } | undefined> =>
    db.withTenant(tenant, async (tx) => {
      const rows = await tx.$queryRaw<{ input_digest: string }[]>`
        update intent set delivered_at = coalesce(delivered_at, now())
        where tenant_id = ${tenant} and workflow_id = ${workflowId} returning input_digest`;
      return rows[0] === undefined ? undefined : { inputDigest: rows[0].input_digest };
    }),
  /** Commits the audit entry of a run that no intent allows. */
  recordForgedStart: (tenant: string, run: { workflowId: string; runId: string }): Promise<void> =>
    db.withTenant(tenant, async (tx) => {
      const actor = { subject: 'unknown', kind: 'system' as const, roles: [], via: 'temporal' };
      const facts = {
        action: 'workflow.refused',
        resource: { type: 'workflow', id: run.workflowId },
      };
      await appendAudit(
        tx,
        { tenant, actor, ...run },
        { ...facts, after: { code: 'START_NOT_AUTHORISED' } },
      );
    }),
});

/** What the relay claims and marks (role anneal_relay, which sees all tenants of these tables and nothing else). */
export const createRelayStore = (db: Database) => ({
  claimStarts: async (limit: number): Promise<{ tenant: string; start: StartRequest }[]> => {
    const rows = await db.call(
      `update intent set claimed_at = now() where (tenant_id, workflow_id) in (
         select tenant_id, workflow_id from intent
         where delivered_at is null and due_at <= now() and (claimed_at is null or claimed_at < now() - interval '30 seconds')
         order by due_at limit $1 for update skip locked)
       returning tenant_id, workflow_id, workflow_type, task_queue, input, options`,
      [limit],
    );
    return rows.map((row) => ({
      tenant: String(row.tenant_id),
      start: {
        workflowId: String(row.workflow_id),
        workflowType: String(row.workflow_type),
        taskQueue: row.task_queue as WorkflowQueue,
        input: row.input as StartRequest['input'],
        options: row.options as StartOptions,
        startedBy: 'relay' as const,
      },
    }));
  },
  claimWakes: async (limit: number): Promise<{ tenant: string; wake: WakeRequest }[]> => {
    const rows = await db.call(
      `update wake set claimed_at = now() where (tenant_id, fact_id) in (
         select tenant_id, fact_id from wake
         where delivered_at is null
           and (created_at < now() - interval '2 seconds' or start->>'startedBy' = 'relay')
           and (claimed_at is null or claimed_at < now() - interval '10 seconds')
         order by created_at limit $1 for update skip locked)
       returning tenant_id, fact_id, workflow_id, request_id, start`,
      [limit],
    );
    return rows.map((row) => ({
      tenant: String(row.tenant_id),
      wake: {
        workflowId: String(row.workflow_id),
        factId: String(row.fact_id),
        ...(typeof row.request_id === 'string' ? { requestId: row.request_id } : {}),
        ...(row.start === null ? {} : { start: row.start as StartRequest }),
      },
    }));
  },
  markStarted: async (tenant: string, workflowId: string): Promise<void> => {
    await db.call(
      'update intent set delivered_at = now() where tenant_id = $1 and workflow_id = $2 and delivered_at is null',
      [tenant, workflowId],
    );
  },
  markWoken: async (tenant: string, factId: string): Promise<void> => {
    await db.call('update wake set delivered_at = now() where tenant_id = $1 and fact_id = $2', [
      tenant,
      factId,
    ]);
  },
});
