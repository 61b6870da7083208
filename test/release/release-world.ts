import { randomUUID } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import { createEventsActivities } from '../../src/activities/events/index.js';
import { createReleaseActivities, type ReleaseDeps } from '../../src/activities/release/index.js';
import { createPredictedLabels } from '../../src/activities/release/predicted-labels.js';
import {
  createRoutingFollowerLoop,
  type RoutingFollower,
} from '../../src/activities/release/routing-follower-loop.js';
import { createAuditStore } from '../../src/adapters/postgres/audit.js';
import type { Database } from '../../src/adapters/postgres/database.js';
import { createIntentStore } from '../../src/adapters/postgres/events.js';
import { newId } from '../../src/adapters/postgres/new-id.js';
import {
  createReleaseFacts,
  createServingStore,
} from '../../src/adapters/postgres/release-facts.js';
import { createKillStore } from '../../src/adapters/postgres/release-kills.js';
import { createReleaseMoves } from '../../src/adapters/postgres/release-moves.js';
import { createPointerMoves } from '../../src/adapters/postgres/release-pointer.js';
import { createRoutingStore } from '../../src/adapters/postgres/release-routing.js';
import { createReleaseViews } from '../../src/adapters/postgres/release-views.js';
import { createReleaseStore } from '../../src/adapters/postgres/release.js';
import { createStarter } from '../../src/adapters/temporal/starter.js';
import { createApp } from '../../src/api/app.js';
import { releaseRoutes } from '../../src/api/release/index.js';
import { permissionsOf, type Role } from '../../src/domain/access/permissions.js';
import type { StartRequest, WakeRequest } from '../../src/domain/events/contract.js';
import type { Caller } from '../../src/domain/events/change.js';
import type { Env } from '../../src/domain/ids.js';
import type { ReleaseView, RoutingEntry } from '../../src/domain/release/view.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import type { TestTemporal } from '../support/temporal.js';
import { planWith } from './plans.js';

/** What an answer is compared with. */
export interface Answer {
  status: number;
  body: Record<string, unknown>;
  headers: Headers;
}

interface Asked {
  roles?: Role[];
  subject?: string;
  env?: Env;
  tenant?: string;
  body?: unknown;
  ifMatch?: number;
  key?: string;
  prefer?: string;
}

/** A plan that is over in moments. */
export const quick = {
  strategy: 'blue_green',
  bakeMs: 0,
  verifyMs: 0,
  tickMs: 50,
  propagationTimeoutMs: 5_000,
};
/** A shadow stage that is decided by 50 pairs. */
export const quickShadow = { minPairs: 50, minDurationMs: 0, maxDurationMs: 600_000, tickMs: 50 };

const contract = {
  input: { fields: [{ name: 'age', type: 'integer' }] },
  output: { fields: [{ name: 'label', type: 'categorical', enum: ['bad', 'good'] }] },
};

/** The author of a worker's change in tests that call the store itself. */
export const workerCaller = (tenant: string): Caller => ({
  tenant,
  workflowId: 'release/test',
  runId: 'run',
  actor: { subject: 'workflow:release/test', kind: 'system', roles: [], via: 'workflow' },
});

/** `release` over a database of its own; with Temporal the edge starts workflows there. */
export class ReleaseWorld {
  readonly database: TestDatabase;
  readonly temporal: TestTemporal | undefined;
  readonly started: StartRequest[] = [];
  readonly woken: WakeRequest[] = [];
  tenant = '';
  /** What a release that is asked for from now on gets. */
  maxHistoryEvents = 1_500;
  /** What the pretended model runtime says of a version; a thrown error is a version that cannot be loaded. */
  prepare: (version: number) => Promise<unknown> = () => Promise.resolve();
  /** What the decrypted outputs say. */
  readonly outputs = new Map<string, string>();
  #port = 0;
  #server: { close: () => Promise<void> } | undefined;
  #workers: { stop: () => Promise<void> } | undefined;
  readonly #serving: { stop: AbortController; done: Promise<void> }[] = [];

  constructor(database: TestDatabase, temporal: TestTemporal | undefined) {
    this.database = database;
    this.temporal = temporal;
  }

  static async open(temporal?: TestTemporal): Promise<ReleaseWorld> {
    const world = new ReleaseWorld(await createTestDatabase(), temporal);
    await world.#listen();
    return world;
  }

  async #listen(): Promise<void> {
    const { api } = this.database;
    const starter = this.temporal && createStarter(this.temporal.client);
    const limits = { history: () => this.maxHistoryEvents };
    const routes = releaseRoutes({
      ...createReleaseStore(api),
      ...createReleaseViews(api),
      ...createRoutingStore(api),
      ...createKillStore(api),
      links: { temporalUi: (id) => `http://localhost/${id}` },
      get maxHistoryEvents() {
        return limits.history();
      },
    });
    const app = createApp(routes, {
      authenticate: async (header) => {
        const [tenant = '', env = '', subject = '', held = ''] = (header ?? '')
          .replace('Bearer ', '')
          .split(':');
        const roles = held.split(',') as Role[];
        const permissions = permissionsOf(roles, []);
        const who = { subject, name: 'test', kind: 'person' as const, env: env as Env };
        return { tenant, ...who, roles, groups: [], permissions, via: 'api-key:test' };
      },
      startWorkflow: async (tenant, start) => {
        this.started.push(start);
        await starter?.startWorkflow(tenant, start);
      },
      wakeWorkflow: async (wake) => {
        this.woken.push(wake);
        await starter?.wakeWorkflow(wake);
      },
      recordRefusal: createAuditStore(api).recordRefusal,
      newRequestId: () => newId('request'),
      log: { warn: () => undefined, error: () => undefined },
      observe: () => undefined,
      stopping: new AbortController().signal,
    });
    const server = app.listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    this.#port = (server.address() as AddressInfo).port;
    const close = async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    };
    this.#server = { close };
  }

  /** A new tenant with the model `credit` and four approved versions of one contract. */
  async renew(riskClass = 'low'): Promise<void> {
    this.tenant = `t-${randomUUID().slice(0, 8)}`;
    this.prepare = () => Promise.resolve();
    await this.sql('insert into tenant (tenant_id, title) values ($1, $1)', []);
    await this.sql(
      `insert into registered_model (tenant_id, name, purpose, risk_class, outcome, policy_name, owner, created_by)
       values ($1, 'credit', 'lending', $2, '{"type":"binary"}', 'default', 'risk', 'test')`,
      [riskClass],
    );
    for (const version of [1, 2, 3, 4]) {
      await this.sql(
        `insert into model_version (tenant_id, model, version, assurance, artifact_ref, artifact_digest, artifact_bytes,
           contract, contract_digest, golden, metrics, lineage, trained_by)
         values ($1, 'credit', $2, 'APPROVED', 'ref', 'sha256:0', 1, $3, 'sha256:0', '[]', '{}', '{}', 'prn_trainer')`,
        [version, JSON.stringify(contract)],
      );
    }
  }

  /** SQL as superuser; `$1` is the tenant. */
  sql(text: string, values: unknown[] = []): Promise<Record<string, unknown>[]> {
    return this.database.asSuperuser(text, [this.tenant, ...values]);
  }

  /** An approval that people have given, with one signed decision and its nonce. */
  async approve(version: number, plan: object, by = 'prn_approver'): Promise<string> {
    const approvalId = newId('approval');
    await this.sql(
      `insert into approval (tenant_id, approval_id, model, version, env, evaluation_id, state, subject, subject_digest,
         rollout_plan, required, comment, requested_by, expires_at, closed_at)
       values ($1, $2, 'credit', $3, 'prod', $4, 'APPROVED', '{}', 'sha256:0', $5, 1, '', 'prn_trainer',
         now() + interval '7 days', now())`,
      [approvalId, version, newId('evaluation'), JSON.stringify(planWith({ ...plan }))],
    );
    await this.sql(
      `insert into approval_decision (tenant_id, decision_id, approval_id, principal_id, decision, payload, signature,
         key_id, nonce)
       values ($1, $2, $3, $4, 'approve', '{}', '\\x00', 'k1', $5)`,
      [newId('approvalDecision'), approvalId, by, randomUUID()],
    );
    return approvalId;
  }

  async send(method: string, path: string, asked: Asked = {}): Promise<Answer> {
    const { roles = ['ml-engineer', 'operator'], subject = 'prn_engineer', env = 'prod' } = asked;
    const { tenant = this.tenant, body, ifMatch, key = randomUUID(), prefer } = asked;
    const response = await fetch(`http://127.0.0.1:${this.#port}${path}`, {
      method,
      headers: {
        authorization: `Bearer ${tenant}:${env}:${subject}:${roles.join(',')}`,
        ...(method === 'GET' ? {} : { 'idempotency-key': key }),
        ...(ifMatch === undefined ? {} : { 'if-match': `"${ifMatch}"` }),
        ...(prefer === undefined ? {} : { prefer }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const answer = (await response.json()) as Answer['body'];
    return { status: response.status, body: answer, headers: response.headers };
  }

  /** Approves and asks for a release; answers its id. */
  async release(version: number, plan: object = quick, more: object = {}): Promise<string> {
    const approvalId = await this.approve(version, plan);
    const body = { version, approvalId, ...plan, ...more };
    const answer = await this.send('POST', '/v1/models/credit/envs/prod/releases', { body });
    if (answer.status !== 202) throw new Error(JSON.stringify(answer.body));
    return answer.body.id as string;
  }

  async view(releaseId: string): Promise<ReleaseView> {
    return (await this.send('GET', `/v1/releases/${releaseId}`)).body as unknown as ReleaseView;
  }

  async routing(at?: string): Promise<RoutingEntry> {
    const query = at === undefined ? '' : `?at=${encodeURIComponent(at)}`;
    const path = `/v1/models/credit/envs/prod/routing${query}`;
    return (await this.send('GET', path)).body as unknown as RoutingEntry;
  }

  order(releaseId: string, command: string, reason = 'because'): Promise<Answer> {
    return this.send('POST', `/v1/releases/${releaseId}:${command}`, { body: { reason } });
  }

  kill(scope: object, mode = 'fallback'): Promise<Answer> {
    return this.send('POST', '/v1/kill-switches', { body: { scope, mode, reason: 'harm' } });
  }

  /** What the release activities get; the approval's signatures are the approval capability's to prove. */
  deps(change: Partial<ReleaseDeps> = {}): ReleaseDeps {
    const { worker } = this.database;
    return {
      ...createReleaseFacts(worker),
      ...createReleaseMoves(worker),
      ...createPointerMoves(worker),
      verifyApproval: async (tenant, { approvalId }) => {
        const [row] = await this.database.asSuperuser(
          `select a.state, array_agg(d.nonce) as nonces from approval a join approval_decision d using (tenant_id, approval_id)
           where tenant_id = $1 and approval_id = $2 group by a.state`,
          [tenant, approvalId],
        );
        return row?.state === 'APPROVED'
          ? { ok: true, nonces: row.nonces as string[], approvers: [] }
          : {
              ok: false,
              code: 'APPROVAL_INVALID',
              reason: `the approval is ${String(row?.state)}`,
            };
      },
      artifactMatches: () => Promise.resolve(true),
      predictedLabels: createPredictedLabels({
        sealedOutputs: (_tenant, ids) =>
          Promise.resolve(ids.map((decisionId) => ({ decisionId, outputs: Buffer.from('') }))),
        openOutput: ({ inferenceId }) => {
          const label = this.outputs.get(inferenceId);
          return Promise.resolve(label === undefined ? undefined : { label });
        },
      }),
      ...change,
    };
  }

  activities(change: Partial<ReleaseDeps> = {}) {
    return {
      ...createEventsActivities(createIntentStore(this.database.worker)),
      ...createReleaseActivities(this.deps(change)),
    };
  }

  async work(change: Partial<ReleaseDeps> = {}): Promise<void> {
    if (this.temporal === undefined) throw new Error('this world has no Temporal');
    await this.rest();
    this.#workers = await this.temporal.startWorkers(this.activities(change));
  }

  async rest(): Promise<void> {
    await this.#workers?.stop();
    this.#workers = undefined;
  }

  /** A serving process of its own. */
  serve(role: 'api' | 'inference' = 'inference'): RoutingFollower {
    const db: Database = role === 'api' ? this.database.api : this.database.worker;
    const store = createServingStore(db);
    const { tenant } = this;
    const follower = createRoutingFollowerLoop({
      processId: newId('process'),
      role,
      tenants: () => Promise.resolve([tenant]),
      ...store,
      listen: (handlers, signal) => db.listen('routing', handlers, signal),
      prepareVersion: ({ version }) => this.prepare(version),
      log: { warn: () => undefined },
      intervals: { pollMs: 100, leaseMs: 1_000, tenantsMs: 1_000 },
    });
    const stop = new AbortController();
    this.#serving.push({ stop, done: follower.run(stop.signal) });
    return follower;
  }

  /** Stops the serving processes as a stop sequence does. */
  async unserve(): Promise<void> {
    const serving = this.#serving.splice(0);
    for (const { stop } of serving) stop.abort();
    await Promise.all(serving.map(({ done }) => done));
  }

  /** Pairs of a shadow: `agree` with equal labels, `differ` with other ones, `fail` without a candidate. */
  async pairs(
    releaseId: string,
    counts: { agree?: number; differ?: number; fail?: number },
  ): Promise<void> {
    const [shadow] = await this.sql(
      'select shadow_id, version from shadow where tenant_id = $1 and release_id = $2',
      [releaseId],
    );
    const add = (n: number, candidate: string | null) =>
      this.sql(
        `insert into shadow_pair (tenant_id, decision_id, version, shadow_id, champion, candidate, error)
         select $1, gen_random_uuid()::text, $2, $3, '{"version":1,"label":"good","probability":0.9,"ms":5}',
           $4::jsonb, case when $4 is null then 'server' end from generate_series(1, $5)`,
        [shadow?.version, shadow?.shadow_id, candidate, n],
      );
    const answer = (label: string) =>
      JSON.stringify({ version: 2, label, probability: 0.9, ms: 5 });
    await add(counts.agree ?? 0, answer('good'));
    await add(counts.differ ?? 0, answer('bad'));
    await add(counts.fail ?? 0, null);
  }

  /** Decisions under an epoch, some of them failed; `predicted` is what their outputs say. */
  async decisions(
    of: { epoch: number; version: number; state?: string; predicted?: string; label?: string },
    n: number,
  ): Promise<void> {
    const { epoch, version, state = 'SUCCEEDED', predicted, label } = of;
    const rows = await this.sql(
      `insert into decision (tenant_id, decision_id, env, lane, state, actor, purpose, inputs_digest, inputs_ref, model,
         version, digest, arm, routing_epoch, contract_version, attempts, flags, warnings, latency_ms, row_hash)
       select $1, 'inf_' || gen_random_uuid(), 'prod', 'durable', $2, 'prn_app', 'lending', 'd', 'r', 'credit', $3, 'd',
         'active', $4, 'c', '[]', '[]', '[]', 5, '\\x00' from generate_series(1, $5) returning decision_id`,
      [state, version, epoch, n],
    );
    for (const { decision_id: id } of rows) {
      if (predicted !== undefined) this.outputs.set(String(id), predicted);
      if (label === undefined) continue;
      await this.sql(
        `insert into feedback (tenant_id, feedback_id, decision_id, type, value, value_digest, source_kind, source_id,
           observed_at, created_by)
         values ($1, $2, $3, 'label', to_jsonb($4::text), 'd', 'system', 's', now(), 'prn_app')`,
        [newId('feedback'), id, label],
      );
    }
  }

  async close(): Promise<void> {
    await this.unserve();
    await this.rest();
    await this.#server?.close();
    await this.database.close();
  }
}
