import { canonicalJson, digestOf, equalSecrets } from '../../domain/digest.js';
import { PlatformError } from '../../domain/errors.js';
import { MAX_TEMPORAL_PAYLOAD_BYTES } from '../../domain/units.js';
import type { AuditFacts } from '../../domain/audit/contract.js';
import type { StartRequest, WakeRequest } from '../../domain/events/contract.js';
import type { Caller, Change, Outcome } from '../../domain/events/change.js';
import type { Database, Tx } from './database.js';
import { newId } from './new-id.js';
import type { Prisma } from './generated/client.js';

const json = (value: unknown): Prisma.InputJsonValue => value as Prisma.InputJsonValue;

/** The stored answer of the same key; throws IDEMPOTENCY_MISMATCH where the body differs. */
async function storedAnswer<B>(tx: Tx, caller: Caller): Promise<Outcome<B> | undefined> {
  const key = caller.idempotency;
  if (key === undefined) return undefined;
  const id = {
    tenantId: caller.tenant,
    principalId: caller.actor.subject,
    route: key.route,
    keyHash: Buffer.from(key.keyHash),
  };
  // The insert waits for a twin that is still in flight; status 0 marks the row as ours until the answer is known.
  const claimed = await tx.$executeRaw`
    insert into idempotency (tenant_id, principal_id, route, key_hash, body_hash, status, response)
    values (${id.tenantId}, ${id.principalId}, ${id.route}, ${id.keyHash}, ${Buffer.from(key.bodyHash)}, 0, '{}')
    on conflict do nothing`;
  if (claimed === 1) return undefined;
  const row = await tx.idempotency.findUniqueOrThrow({
    where: { tenantId_principalId_route_keyHash: id },
  });
  if (!equalSecrets(row.bodyHash, key.bodyHash)) {
    throw new PlatformError(
      'IDEMPOTENCY_MISMATCH',
      'This Idempotency-Key was used for a request with another body.',
    );
  }
  return { status: row.status, body: row.response as B, replayed: true, starts: [], wakes: [] };
}

/** A start that says which request asks for it. */
const askedBy = (caller: Caller, start: StartRequest): StartRequest =>
  caller.requestId === undefined
    ? start
    : { ...start, options: { ...start.options, requestId: caller.requestId } };

/** A wake that says which request made its fact. */
const toldBy = (caller: Caller, wake: WakeRequest): WakeRequest => ({
  ...wake,
  ...(wake.start === undefined ? {} : { start: askedBy(caller, wake.start) }),
  ...(caller.requestId === undefined ? {} : { requestId: caller.requestId }),
});

async function writeStart(tx: Tx, tenant: string, start: StartRequest): Promise<void> {
  const bytes = Buffer.byteLength(canonicalJson(start.input));
  if (bytes > MAX_TEMPORAL_PAYLOAD_BYTES) {
    throw new PlatformError('PAYLOAD_TOO_LARGE', 'The workflow input exceeds 256 KiB.');
  }
  const digest = digestOf('anneal.intent.v1', start.input);
  await tx.$executeRaw`
    insert into intent (tenant_id, workflow_id, workflow_type, task_queue, input, input_digest, options, due_at)
    values (${tenant}, ${start.workflowId}, ${start.workflowType}, ${start.taskQueue}, ${json(start.input)}::jsonb, ${digest},
      ${json(start.options)}::jsonb, now() + make_interval(secs => ${start.startedBy === 'api' ? 2 : 0}))
    on conflict do nothing`;
  if (start.startedBy === 'relay') await tx.$executeRaw`select pg_notify('intent', '')`;
}

async function writeWake(tx: Tx, tenant: string, wake: WakeRequest): Promise<void> {
  const start = wake.start === undefined ? null : JSON.stringify(wake.start);
  await tx.$executeRaw`insert into wake (tenant_id, fact_id, workflow_id, request_id, start)
    values (${tenant}, ${wake.factId}, ${wake.workflowId}, ${wake.requestId ?? null}, ${start}::jsonb)
    on conflict do nothing`;
  if (wake.start?.startedBy === 'relay') await tx.$executeRaw`select pg_notify('intent', '')`;
}

/** Appends one entry to the tenant's audit chain. The last statement of a transaction, because it locks the head. */
export async function appendAudit(tx: Tx, caller: Caller, facts: AuditFacts): Promise<number> {
  const entry = canonicalJson({
    ...facts,
    actor: caller.actor,
    requestId: caller.requestId,
    workflowId: caller.workflowId,
    runId: caller.runId,
  });
  const [row] = await tx.$queryRaw<{ seq: bigint }[]>`select audit_append(${entry}) as seq`;
  return Number(row?.seq ?? 0);
}

/**
 * One change, whole or not at all: the idempotency row, the change itself, intents, wakes, outbox and audit entry in
 * one transaction. The same key and body answer what was stored and change nothing.
 * @throws IDEMPOTENCY_MISMATCH, STORE_UNAVAILABLE, and whatever `work` refuses with
 */
export function mutate<B>(
  db: Database,
  caller: Caller,
  work: (tx: Tx) => Promise<Change<B>>,
): Promise<Outcome<B>> {
  return db.withTenant(caller.tenant, async (tx) => {
    const stored = await storedAnswer<B>(tx, caller);
    if (stored !== undefined) return stored;
    const change = await work(tx);
    const { events = [] } = change;
    const starts = (change.starts ?? []).map((start) => askedBy(caller, start));
    const wakes = (change.wakes ?? []).map((wake) => toldBy(caller, wake));
    for (const start of starts) await writeStart(tx, caller.tenant, start);
    for (const wake of wakes) {
      await writeWake(tx, caller.tenant, wake);
    }
    for (const event of events) {
      await tx.outbox.create({
        data: {
          tenantId: caller.tenant,
          eventId: newId('event'),
          type: event.type,
          subject: event.subject,
          data: json(event.data),
        },
      });
    }
    if (caller.idempotency !== undefined) {
      await tx.idempotency.update({
        where: {
          tenantId_principalId_route_keyHash: {
            tenantId: caller.tenant,
            principalId: caller.actor.subject,
            route: caller.idempotency.route,
            keyHash: Buffer.from(caller.idempotency.keyHash),
          },
        },
        data: { status: change.status, response: json(change.body) },
      });
    }
    const entries = Array.isArray(change.audit) ? change.audit : [change.audit];
    for (const facts of entries) await appendAudit(tx, caller, facts);
    return { status: change.status, body: change.body, replayed: false, starts, wakes };
  });
}
