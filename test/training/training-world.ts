import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createEventsActivities } from '../../src/activities/events/index.js';
import {
  createTrainingActivities,
  type CheckpointFiles,
  type TrainingDeps,
} from '../../src/activities/training/index.js';
import { openFolderStore } from '../../src/adapters/artifacts/folder-store.js';
import { createLocalTrainer } from '../../src/adapters/local-trainer/create-local-trainer.js';
import { createOnnxRuntime } from '../../src/adapters/onnx/create-onnx-runtime.js';
import { exportModel } from '../../src/adapters/onnx/export-model.js';
import { scanArtifact } from '../../src/adapters/onnx/scan-artifact.js';
import { createAuditStore } from '../../src/adapters/postgres/audit.js';
import { createIntentStore } from '../../src/adapters/postgres/events.js';
import { newId } from '../../src/adapters/postgres/new-id.js';
import { createRegistryStore } from '../../src/adapters/postgres/registry.js';
import { createVersionRegistrar } from '../../src/adapters/postgres/registry-versions.js';
import { createTrainingStore } from '../../src/adapters/postgres/training.js';
import { createTrainingProgressStore } from '../../src/adapters/postgres/training-progress.js';
import { startThread } from '../../src/adapters/processes/start-child.js';
import { mergeRuns } from '../../src/adapters/tabular/merge-runs.js';
import { readParts } from '../../src/adapters/tabular/read-part.js';
import { stageRows } from '../../src/adapters/tabular/stage-rows.js';
import { readJsonArtifact } from '../../src/adapters/tabular/staged-state.js';
import { createStarter } from '../../src/adapters/temporal/starter.js';
import { createApp } from '../../src/api/app.js';
import { registryRoutes } from '../../src/api/registry/index.js';
import { trainingRoutes } from '../../src/api/training/index.js';
import { permissionsOf, type Role } from '../../src/domain/access/permissions.js';
import type { ArtifactStore } from '../../src/domain/artifacts.js';
import { parseDatasetContract } from '../../src/domain/datasets/dataset-contract.js';
import type { SnapshotProfile } from '../../src/domain/datasets/profile.js';
import { tableFormatSchema } from '../../src/domain/datasets/table-format.js';
import type { StartRequest, WakeRequest } from '../../src/domain/events/contract.js';
import { defaultTrainingLimits, type TrainingLimits } from '../../src/domain/training/contract.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { startTestChild, testEnvironment } from '../support/model-runtime.js';
import type { TestTemporal } from '../support/temporal.js';

/** What an answer is compared with. */
export interface Answer {
  status: number;
  body: Record<string, unknown>;
}

type Send = (
  method: string,
  path: string,
  more?: { tenant?: string; roles?: Role[]; body?: unknown; idempotencyKey?: string },
) => Promise<Answer>;

/** Limits short enough for a test. */
export const testLimits: TrainingLimits = {
  ...defaultTrainingLimits,
  heartbeatTimeoutMs: 5_000,
  admissionTimeoutMs: 60_000,
  stopGraceMs: 5_000,
  retryIntervalMs: 50,
};

/** One capability `training` with `registry`, over a database and an artifact store of its own. */
export interface TrainingWorld {
  database: TestDatabase;
  artifacts: ArtifactStore;
  send: Send;
  /** What runs get that are asked for from now on. */
  limits: TrainingLimits;
  /** Starts and wakes that the edge was told to carry out. */
  started: StartRequest[];
  woken: WakeRequest[];
  newTenant: () => string;
  publish: (tenant: string, what: Publish) => Promise<string>;
  activities: (
    change?: Partial<TrainingDeps>,
  ) => ReturnType<typeof createTrainingActivities> & ReturnType<typeof createEventsActivities>;
  /** A local trainer over these checkpoint files; closed with the world. */
  createTrainer: TrainingDeps['createTrainer'];
  runs: TrainingDeps['runs'];
  close: () => Promise<void>;
}

interface Publish {
  csv: string;
  contract?: unknown;
  purposes?: string[];
  state?: string;
  /** How the file is written, where it differs from a CSV with a header. */
  format?: object;
}

async function* once(text: string): AsyncGenerator<Uint8Array> {
  yield Buffer.from(text);
}

/** Repeatable uniform numbers in [0, 1) (mulberry32). */
function seededUniform(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** A loan table: income and age push the odds of `good`, the region shifts them, `sex` is protected. */
export function loans(rows: number, seed = 1): string {
  const uniform = seededUniform(seed);
  const regions = ['north', 'south', 'east'];
  const lines = ['id,income,age,region,sex,at,outcome'];
  for (let i = 0; i < rows; i++) {
    const income = Math.round(uniform() * 90_000) / 10;
    const age = 18 + Math.floor(uniform() * 60);
    const region = regions[Math.floor(uniform() * 3)] ?? 'north';
    const sex = uniform() < 0.5 ? 'f' : 'm';
    const odds = income / 1_500 - 3 + (age - 45) / 30 + (region === 'north' ? 0.8 : 0);
    const outcome = uniform() < 1 / (1 + Math.exp(-odds)) ? 'good' : 'bad';
    const day = new Date(Date.UTC(2026, 0, 1) + i * 3_600_000).toISOString();
    lines.push([`c${seed}-${i}`, income, age, region, sex, day, outcome].join(','));
  }
  return `${lines.join('\n')}\n`;
}

export const loanContract = {
  fields: [
    { name: 'id', type: 'string', personal: 'identifier' },
    { name: 'income', type: 'number', min: 0 },
    { name: 'age', type: 'integer', min: 18, max: 120 },
    { name: 'region', type: 'categorical' },
    { name: 'sex', type: 'categorical', personal: 'protected' },
    { name: 'at', type: 'timestamp' },
    { name: 'outcome', type: 'categorical', enum: ['bad', 'good'] },
  ],
  label: { field: 'outcome', positive: 'good' },
  keyFields: ['id'],
  eventTimeField: 'at',
};

const createPublish =
  (database: TestDatabase, artifacts: ArtifactStore): TrainingWorld['publish'] =>
  async (
    tenant,
    {
      csv,
      contract: body = loanContract,
      purposes = ['lending'],
      state = 'LIVE',
      format: written = {},
    },
  ) => {
    const parsed = parseDatasetContract(body);
    if (!parsed.ok) throw new Error(JSON.stringify(parsed.errors));
    const { contract } = parsed;
    const scope = newId('publication');
    const format = tableFormatSchema.parse({ format: 'csv', ...written });
    const { ref } = await artifacts.put({ tenantId: tenant, body: once(csv) });
    const staged = await stageRows(
      artifacts,
      { tenantId: tenant, scope, source: { ref }, format, contract },
      { tokenise: (value) => `p1_${value}` },
    );
    const terms = { contract, purposes, legalBasis: 'contract' };
    const merged = await mergeRuns(
      artifacts,
      { tenantId: tenant, scope, ...terms, runs: staged.runs, partRows: 700 },
      {},
    );
    const contractId = newId('contract');
    await database.asSuperuser(
      `insert into dataset_contract (tenant_id, contract_id, dataset, body, digest, created_by)
       values ($1, $2, 'loans', $3, 'sha256:0', 'test')`,
      [tenant, contractId, JSON.stringify(contract)],
    );
    const { snapshotId, rows, parts, profileRef, binsRef } = merged;
    const manifest = { parts, purposes, profileRef, binsRef, legalBasis: 'contract' };
    await database.asSuperuser(
      `insert into snapshot (tenant_id, snapshot_id, dataset, publication_id, contract_id, state, rows, rejected, manifest)
       values ($1, $2, 'loans', $3, $4, $5, $6, 0, $7)`,
      [tenant, snapshotId, scope, contractId, state, rows, JSON.stringify(manifest)],
    );
    return snapshotId;
  };

function createSend(port: number): Send {
  return async (method, path, more = {}) => {
    const { tenant = 'none', roles = ['ml-engineer'], body, idempotencyKey = randomUUID() } = more;
    const response = await fetch(`http://127.0.0.1:${port}${path}`, {
      method,
      headers: {
        authorization: `Bearer ${tenant}:${roles.join(',')}`,
        ...(method === 'GET' ? {} : { 'idempotency-key': idempotencyKey }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    return { status: response.status, body: (await response.json()) as Answer['body'] };
  };
}

async function startApi(
  world: Pick<TrainingWorld, 'database' | 'artifacts' | 'limits' | 'started' | 'woken'>,
  temporal: TestTemporal | undefined,
) {
  const { database, artifacts, limits, started, woken } = world;
  const starter = temporal && createStarter(temporal.client);
  const routes = [
    ...registryRoutes(createRegistryStore(database.api)),
    ...trainingRoutes({
      ...createTrainingStore(database.api),
      readProfile: (ref) => readJsonArtifact<SnapshotProfile>(artifacts, ref),
      limits,
      links: { temporalUi: (id) => `http://localhost/${id}` },
    }),
  ];
  const app = createApp(routes, {
    authenticate: async (header) => {
      const [tenant = '', held = ''] = (header ?? '').replace('Bearer ', '').split(':');
      const roles = held.split(',') as Role[];
      const permissions = permissionsOf(roles, []);
      const who = { subject: `prn_${tenant}`, name: 'test', kind: 'person' as const };
      return { tenant, ...who, roles, groups: [], permissions, env: 'dev', via: 'api-key:test' };
    },
    startWorkflow: async (tenant, start) => {
      started.push(start);
      await starter?.startWorkflow(tenant, start);
    },
    wakeWorkflow: async (wake) => {
      woken.push(wake);
      await starter?.wakeWorkflow(wake);
    },
    recordRefusal: createAuditStore(database.api).recordRefusal,
    newRequestId: () => newId('request'),
    log: { warn: () => undefined, error: () => undefined },
    observe: () => undefined,
    stopping: new AbortController().signal,
  });
  const server = app.listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as AddressInfo;
  const close = async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  };
  return { send: createSend(port), close };
}

/** Path of an artifact of whichever tenant has it. */
const locateIn = (artifacts: ArtifactStore, tenants: string[]) => async (digest: string) => {
  for (const tenant of tenants) {
    const ref = `${tenant}/sha256/${digest.slice('sha256:'.length)}`;
    if ((await artifacts.stat(ref)) !== undefined) return artifacts.getPath(ref);
  }
  throw new Error(`no tenant has ${digest}`);
};

/** Builds the world; with `temporal` the edge starts workflows there. */
export async function createTrainingWorld(
  options: { temporal?: TestTemporal; limits?: TrainingLimits } = {},
): Promise<TrainingWorld> {
  const database = await createTestDatabase();
  const root = await mkdtemp(join(tmpdir(), 'anneal-training-'));
  const artifacts = await openFolderStore({ root, nowMs: Date.now() });
  const tenants: string[] = [];
  const limits = { ...(options.limits ?? testLimits) };
  const base = { database, artifacts, limits, started: [], woken: [] };
  const api = await startApi(base, options.temporal);
  const runtime = createOnnxRuntime({
    slots: 1,
    startChild: startTestChild,
    locateArtifact: locateIn(artifacts, tenants),
  });
  const trainers: { close: () => void }[] = [];
  const createTrainer = (files: CheckpointFiles) => {
    const trainer = createLocalTrainer({
      ...files,
      startThread: (entry, data) => startThread(entry, { data, env: testEnvironment }),
    });
    trainers.push(trainer);
    return trainer;
  };
  const runs = {
    ...createTrainingProgressStore(database.worker),
    ...createVersionRegistrar(database.worker),
  };
  return {
    ...base,
    send: api.send,
    newTenant: () => {
      const tenant = `t-${randomUUID().slice(0, 8)}`;
      tenants.push(tenant);
      return tenant;
    },
    publish: createPublish(database, artifacts),
    createTrainer,
    runs,
    activities: (change = {}) => ({
      ...createEventsActivities(createIntentStore(database.worker)),
      ...createTrainingActivities({
        runs,
        artifacts,
        readParts: (parts) => readParts(artifacts, parts),
        createTrainer,
        exportModel,
        scanArtifact: (bytes) => scanArtifact(bytes),
        runtime,
        environment: { node: 'test', platform: 'test', onnxruntime: 'test', packages: {} },
        ...change,
      }),
    }),
    close: async () => {
      for (const trainer of trainers) trainer.close();
      runtime.close();
      await api.close();
      await database.close();
      await rm(root, { recursive: true, force: true });
    },
  };
}

/** Registers a model of the loan table. */
export async function registerModel(world: TrainingWorld, tenant: string): Promise<string> {
  const answer = await world.send('PUT', '/v1/models/credit', {
    tenant,
    body: { purpose: 'lending', outcome: { type: 'binary' }, owner: 'risk' },
  });
  if (answer.status !== 201) throw new Error(JSON.stringify(answer));
  return 'credit';
}

export const budget = { maxMicroUsd: 0, maxWallClockMs: 120_000, maxGpuMs: 0 };
