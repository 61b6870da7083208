import { randomBytes, randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  createInferenceActivities,
  createInferencePipeline,
  createSettlementLoop,
  createVersionCache,
  defaultInferenceLimits,
} from '../../src/activities/inference/index.js';
import type { AdmitContext } from '../../src/activities/inference/admit.js';
import { openOutput } from '../../src/activities/inference/settle.js';
import { createRelayLoop } from '../../src/activities/events/relay-loop.js';
import { createAuditStore } from '../../src/adapters/postgres/audit.js';
import type { Database } from '../../src/adapters/postgres/database.js';
import { createDecisionStore } from '../../src/adapters/postgres/decisions.js';
import { createIntentStore, createRelayStore } from '../../src/adapters/postgres/events.js';
import { createFeedbackStore } from '../../src/adapters/postgres/feedback.js';
import {
  createInferenceReads,
  createInferenceStore,
} from '../../src/adapters/postgres/inference.js';
import { createInferenceViews } from '../../src/adapters/postgres/inference-views.js';
import { newId } from '../../src/adapters/postgres/new-id.js';
import { createRoutingStore } from '../../src/adapters/postgres/release-routing.js';
import { createFieldCipher } from '../../src/adapters/secrets/field-cipher.js';
import { createFileSecrets } from '../../src/adapters/secrets/file-provider.js';
import { createStarter } from '../../src/adapters/temporal/starter.js';
import { exportModel } from '../../src/adapters/onnx/export-model.js';
import { createApp } from '../../src/api/app.js';
import { decisionsRoutes } from '../../src/api/decisions/index.js';
import { feedbackRoutes } from '../../src/api/feedback/index.js';
import { inferenceRoutes } from '../../src/api/inference/index.js';
import { permissionsOf, type Role } from '../../src/domain/access/permissions.js';
import type { Principal } from '../../src/domain/access/principal.js';
import { modelContractDigest } from '../../src/domain/registry/contract-digest.js';
import { parseModelContract } from '../../src/domain/datasets/model-contract.js';
import type { Digest } from '../../src/domain/ids.js';
import type { ModelRuntime, PredictResult } from '../../src/domain/inference/runtime.js';
import type { RoutingDocument } from '../../src/domain/release/routing.js';
import { subjectToken } from '../../src/domain/subject-token.js';
import { createPredictor } from '../../src/domain/training/trained-model.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { createRuntimeHarness } from '../support/model-runtime.js';
import { connectTestTemporal } from '../support/temporal.js';
import { tableOf, trainModel, trainerSpec } from '../support/train-model.js';
import { seededFields, seededRows } from '../training/seeded-rows.js';

const classes = ['no', 'yes'] as const;
const data = seededRows(400, 5);
const table = tableOf(seededFields, data);

export const aRow = { size: 3, count: 2, colour: 'red', member: false };
export const aPurpose = 'colour-scoring';

const parsed = parseModelContract({
  input: {
    fields: [
      { name: 'size', type: 'number', min: -10, max: 10 },
      { name: 'count', type: 'integer', min: 0, max: 7 },
      { name: 'colour', type: 'categorical', enum: ['black', 'blue', 'green', 'red'] },
      { name: 'member', type: 'boolean', onMissing: 'impute', imputeValue: false },
    ],
  },
  output: {
    fields: [
      { name: 'label', type: 'categorical', enum: [...classes] },
      { name: 'probability', type: 'number', min: 0, max: 1 },
    ],
  },
});
if (!parsed.ok) throw new Error(JSON.stringify(parsed.errors));
const { contract } = parsed;

/** Two logistic models of one contract, v1 and v2, with golden probes. */
const models = [1, 30].map((lambda) => {
  const model = trainModel({ table, classes }, trainerSpec('logistic', { lambda }));
  const predict = createPredictor(model);
  const golden = data.rows.slice(0, 5).map((inputs) => {
    const probability = predict(inputs);
    return { inputs, output: { label: probability >= 0.5 ? 'yes' : 'no', probability } };
  });
  return { bytes: exportModel(model), predict, golden };
});

/** The trained probability of a version for a row. */
export const probabilityOf = (version: 1 | 2, row: typeof aRow): number =>
  models[version - 1]?.predict(row) ?? Number.NaN;

/** An answer of the API. */
export interface Answer {
  status: number;
  headers: Headers;
  body: Record<string, unknown> & {
    id: string;
    output?: { label: string; probability: number };
    errors?: { pointer: string; code: string }[];
  };
}

/** What a planted fault does instead of a version's prediction. */
type Fault = (next: () => Promise<PredictResult>, signal: AbortSignal) => Promise<PredictResult>;

/** `Bearer <tenant>/<role>/<subject>`: identity is proved elsewhere, here it is stated. */
const principalOf = (header: string | undefined): Principal | undefined => {
  const [tenant, role, subject] = header?.replace('Bearer ', '').split('/') ?? [];
  if (tenant === undefined || role === undefined || subject === undefined) return undefined;
  return {
    tenant,
    subject,
    name: subject,
    kind: 'service',
    roles: [role as Role],
    groups: [],
    permissions: permissionsOf([role], []),
    env: 'dev',
    via: 'api-key:test',
  };
};

function withFaults(real: ModelRuntime) {
  const faults = new Map<Digest, Fault>();
  const calls: Digest[] = [];
  const runtime: ModelRuntime = {
    ...real,
    predict: (call, signal) => {
      calls.push(call.version.digest);
      const next = () => real.predict(call, signal);
      return faults.get(call.version.digest)?.(next, signal) ?? next();
    },
  };
  return { runtime, faults, calls };
}

type Temporal = Awaited<ReturnType<typeof connectTestTemporal>>;

/** The pipeline of one process. A frozen one has not heard of any pointer move since it first looked. */
function createProcess(
  db: Database,
  keys: string,
  more: { runtime?: ModelRuntime; frozen?: boolean } = {},
) {
  const secrets = createFileSecrets(keys);
  const cipher = createFieldCipher(secrets);
  const routing = createRoutingStore(db);
  const held = new Map<string, RoutingDocument | undefined>();
  const versions = createVersionCache({
    findVersion: createInferenceReads(db).findVersion,
    freshMs: 0,
    maxVersions: 100,
  });
  const find = ({ tenant, kind, name }: { tenant: string; kind: 'model'; name: string }) =>
    routing.findRouting(tenant, { env: 'dev', kind, name });
  const tokenOf = async (tenant: string, key: string) =>
    subjectToken(await secrets.pseudonymKey(tenant), key);
  const store = createInferenceStore(db);
  const pipeline = createInferencePipeline({
    store,
    routing: {
      resolve: async (target) => {
        if (more.frozen !== true) return find(target);
        if (!held.has(target.tenant)) held.set(target.tenant, await find(target));
        return held.get(target.tenant);
      },
      refresh: find,
    },
    version: versions.find,
    subjectToken: tokenOf,
    encrypt: cipher.encrypt,
    decrypt: cipher.decrypt,
    runtime: more.runtime,
    newId,
    limits: { ...defaultInferenceLimits, backoff: { baseMs: 20, capMs: 50 } },
    observe: { countDecision: () => undefined, countAttempt: () => undefined },
  });
  return { pipeline, store, cipher, versions, tokenOf };
}
type InferenceProcess = ReturnType<typeof createProcess>;

/** The public server with the endpoints of inference, decisions and feedback. */
async function startApi(
  db: Database,
  parts: { process: InferenceProcess; temporal: Temporal; stopping: AbortSignal },
) {
  const { pipeline, cipher, versions, tokenOf } = parts.process;
  const views = createInferenceViews(db);
  const settlements = createSettlementLoop({
    listen: db.listen,
    read: views.read,
    sweepMs: 1_000,
  });
  const routes = [
    ...inferenceRoutes({
      admit: pipeline.admit,
      waitFor: settlements.waitFor,
      readInferences: views.read,
      listInferences: views.listInferences,
      openOutput: (of) => openOutput(cipher, of),
      links: { temporalUi: (id) => `http://ui/${id}` },
    }),
    ...decisionsRoutes({ ...createDecisionStore(db), verifySignature: async () => false }),
    ...feedbackRoutes({
      ...createFeedbackStore(db),
      findContract: async (...version) => (await versions.find(...version))?.facts.contract,
      subjectToken: tokenOf,
    }),
  ];
  const app = createApp(routes, {
    authenticate: async (header) => principalOf(header),
    ...createStarter(parts.temporal.client),
    recordRefusal: createAuditStore(db).recordRefusal,
    newRequestId: () => newId('request'),
    log: { warn: () => undefined, error: () => undefined },
    observe: () => undefined,
    stopping: parts.stopping,
  });
  const server = app.listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as AddressInfo;
  const ended = settlements.run(parts.stopping);
  return { server, base: `http://127.0.0.1:${port}`, ended };
}

/** The relay, which starts shadows at once and what a crash left behind after two seconds. */
function runRelay(db: Database, temporal: Temporal, stopping: AbortSignal): Promise<void> {
  const relay = createRelayLoop({
    ...createRelayStore(db),
    ...createStarter(temporal.client),
    nextDue: (signal) =>
      new Promise((resolve) => {
        const timer = setTimeout(resolve, 100);
        signal.addEventListener('abort', () => (clearTimeout(timer), resolve()), { once: true });
      }),
    log: { warn: () => undefined },
  });
  return relay.run(stopping);
}

/** Seeds a tenant with model `tint`: v1 previous, v2 active, epoch 3. */
async function seedTenant(
  { asSuperuser: sql }: TestDatabase,
  digests: readonly Digest[],
): Promise<string> {
  const tenant = `t-${randomUUID().slice(0, 8)}`;
  await sql('insert into tenant (tenant_id, title) values ($1, $1)', [tenant]);
  await sql(
    `insert into registered_model (tenant_id, name, purpose, risk_class, outcome, policy_name, owner, created_by)
     values ($1, 'tint', $2, 'low', '{"type":"binary"}', 'default', 'team', 'test')`,
    [tenant, aPurpose],
  );
  for (const [at, { golden }] of models.entries()) {
    await sql(
      `insert into model_version (tenant_id, model, version, assurance, artifact_ref, artifact_digest, artifact_bytes,
         contract, contract_digest, golden, metrics, lineage, trained_by)
       values ($1, 'tint', $2, 'APPROVED', 'ref', $3, 1, $4, $5, $6, '{}', $7, 'test')`,
      [
        tenant,
        at + 1,
        digests[at],
        JSON.stringify(contract),
        modelContractDigest(contract),
        JSON.stringify(golden),
        JSON.stringify({ snapshotId: `sha256:${'0'.repeat(64)}` }),
      ],
    );
  }
  await sql(
    `insert into routing (tenant_id, env, kind, name, epoch, active, previous, arms, salt, shadow, min_epoch)
     values ($1, 'dev', 'model', 'tint', 3, 2, 1, '[]', $2, '[]', 1)`,
    [tenant, randomBytes(32)],
  );
  return tenant;
}

/** One request to the API. */
export interface Asked {
  path: string;
  /** POST with this body; GET without one. */
  body?: unknown;
  key?: string;
  wait?: number;
  headers?: Record<string, string>;
}

const sender =
  (base: string) =>
  async (
    who: { tenant: string; role?: Role; subject?: string },
    { path, body, key, wait, headers }: Asked,
  ): Promise<Answer> => {
    const method = body === undefined ? 'GET' : 'POST';
    const response = await fetch(base + path, {
      method,
      headers: {
        authorization: `Bearer ${who.tenant}/${who.role ?? 'service'}/${who.subject ?? 'prn_a'}`,
        ...(method === 'GET'
          ? {}
          : { 'idempotency-key': key ?? randomUUID(), 'content-type': 'application/json' }),
        ...(wait === undefined ? {} : { prefer: `wait=${wait}` }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const answer = (await response.json()) as Answer['body'];
    return { status: response.status, headers: response.headers, body: answer };
  };

const anAdmission = (tenant: string): AdmitContext => ({
  env: 'dev',
  waiting: false,
  caller: {
    tenant,
    actor: { subject: 'prn_a', kind: 'service', roles: [], via: 'test' },
    idempotency: {
      route: 'inferences.create',
      keyHash: randomBytes(32),
      bodyHash: randomBytes(32),
    },
  },
});

const activitiesOf = (db: Database, worker: InferenceProcess, runtime: ModelRuntime) =>
  createInferenceActivities({
    pipeline: worker.pipeline,
    store: worker.store,
    decrypt: worker.cipher.decrypt,
    runtime,
    version: worker.versions.find,
    recordForgedStart: createIntentStore(db).recordForgedStart,
  });

/** Everything inference needs, in process: an API, a worker, the relay, Postgres and Temporal. */
export async function createInferenceWorld() {
  const database = await createTestDatabase();
  const temporal = await connectTestTemporal();
  const harness = createRuntimeHarness();
  const folder = await mkdtemp(join(tmpdir(), 'anneal-inference-'));
  const keys = join(folder, 'keys');
  const stopping = new AbortController();
  const digests = models.map(({ bytes }) => harness.put(bytes));
  const real = harness.start();
  const { runtime, faults, calls } = withFaults(real);
  // As a process does before it says that it serves: no request waits for a session that is loading.
  await Promise.all(
    digests.map((digest, at) => {
      const golden = (models[at]?.golden ?? []).map(({ inputs, output }) => ({
        inputs,
        probability: output.probability,
      }));
      return real.prepare({ digest, golden }, AbortSignal.timeout(60_000));
    }),
  );
  const api = createProcess(database.api, keys);
  const frozen = createProcess(database.api, keys, { frozen: true });
  const worker = createProcess(database.worker, keys, { runtime });
  const parts = { process: api, temporal, stopping: stopping.signal };
  const { server, base, ended } = await startApi(database.api, parts);
  const relayed = runRelay(database.relay, temporal, stopping.signal);
  const send = sender(base);
  const aRequest = { model: 'tint', inputs: aRow, purpose: aPurpose };
  return {
    database,
    temporal,
    digests,
    faults,
    calls,
    worker,
    send,
    newTenant: () => seedTenant(database, digests),
    /** Asks `tint` and waits for the answer. */
    ask: (tenant: string, more: { body?: object; key?: string; wait?: number } = {}) => {
      const { body, wait = 10, ...rest } = more;
      const asked = { path: '/v1/inferences', body: { ...aRequest, ...body }, wait, ...rest };
      return send({ tenant }, asked);
    },
    admit: (tenant: string) => api.pipeline.admit(aRequest, anAdmission(tenant)),
    /** Admits through a process that has not heard of a pointer move since its first call. */
    admitFrozen: (tenant: string) => frozen.pipeline.admit(aRequest, anAdmission(tenant)),
    startWorkers: () =>
      temporal.startWorkers(
        activitiesOf(database.worker, worker, runtime),
        { shutdownGraceTime: '2s' },
        ['inference'],
      ),
    close: async () => {
      stopping.abort();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      await Promise.all([ended, relayed]);
      harness.close();
      await temporal.stop();
      await database.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
export type InferenceWorld = Awaited<ReturnType<typeof createInferenceWorld>>;
