import { randomBytes, randomUUID } from 'node:crypto';
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { openFolderStore } from '../../src/adapters/artifacts/folder-store.js';
import { exportModel } from '../../src/adapters/onnx/export-model.js';
import { childEnv, loadConfig } from '../../src/config.js';
import { parseModelContract } from '../../src/domain/datasets/model-contract.js';
import { modelContractDigest } from '../../src/domain/registry/contract-digest.js';
import { createPredictor } from '../../src/domain/training/trained-model.js';
import { bootstrapInstallation } from '../../src/main/bootstrap-installation.js';
import { startDevPostgres, startDevTemporal } from '../../src/main/dev-services.js';
import { projectFolder } from '../../src/main/project-folder.js';
import { tableOf, trainModel, trainerSpec } from '../../test/support/train-model.js';
import { seededFields, seededRows } from '../../test/training/seeded-rows.js';

/** Everything that the two sides run on. */
export interface Installation {
  api: string;
  bare: string;
  serviceKey: string;
  adminKey: string;
  temporalAddress: string;
  adminUrl: string;
  /** Process ids by what they are. */
  processes: { ours: Record<string, number>; baseline: Record<string, number> };
  stop: () => Promise<void>;
}

export const benchRow = { size: 3, count: 2, colour: 'red', member: false };
export const benchPurpose = 'bench';
const classes = ['no', 'yes'] as const;

const freePort = (): Promise<number> =>
  new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });

const say = (line: string): void => void process.stdout.write(`  ${line}\n`);

/** Starts an entry, TypeScript or compiled, and waits for its first message. */
async function start(entry: string, env: Record<string, string>): Promise<ChildProcess> {
  const path = fileURLToPath(new URL(entry, import.meta.url));
  const child = fork(path, [], {
    env,
    execArgv: entry.endsWith('.ts') ? ['--import', 'tsx'] : ['--enable-source-maps'],
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  const died = once(child, 'exit').then(() => Promise.reject(new Error(`${entry} ended early`)));
  await Promise.race([once(child, 'message'), died]);
  died.catch(() => undefined);
  return child;
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  await ended;
}

const parsed = parseModelContract({
  input: {
    fields: [
      { name: 'size', type: 'number' },
      { name: 'count', type: 'integer' },
      { name: 'colour', type: 'categorical', enum: ['black', 'blue', 'green', 'red'] },
      { name: 'member', type: 'boolean' },
    ],
  },
  output: {
    fields: [
      { name: 'label', type: 'categorical', enum: [...classes] },
      { name: 'probability', type: 'number', min: 0, max: 1 },
    ],
  },
});

/** Registers a boosted-tree model of 100 trees as active version 1 of `bench` in `prod`. */
async function seedModel(adminUrl: string, stateDir: string): Promise<void> {
  if (!parsed.ok) throw new Error('the contract of the bench is wrong');
  const data = seededRows(2_000, 7);
  const model = trainModel(
    { table: tableOf(seededFields, data), classes },
    trainerSpec('gbt', { trees: 100, depth: 5 }),
  );
  const predict = createPredictor(model);
  const golden = data.rows
    .slice(0, 5)
    .map((inputs) => ({ inputs, output: { label: 'yes', probability: predict(inputs) } }));
  const store = await openFolderStore({ root: join(stateDir, 'artifacts'), nowMs: Date.now() });
  const bytes = exportModel(model);
  const artifact = await store.put({
    tenantId: 'default',
    body: (async function* () {
      yield bytes;
    })(),
  });
  const client = new pg.Client({ connectionString: adminUrl });
  await client.connect();
  await client.query(
    `insert into registered_model (tenant_id, name, purpose, risk_class, outcome, policy_name, owner, created_by)
     values ('default', 'bench', $1, 'low', '{"type":"binary"}', 'default', 'bench', 'bench')`,
    [benchPurpose],
  );
  await client.query(
    `insert into model_version (tenant_id, model, version, assurance, artifact_ref, artifact_digest, artifact_bytes,
       contract, contract_digest, golden, metrics, lineage, trained_by)
     values ('default', 'bench', 1, 'APPROVED', $1, $2, $3, $4, $5, $6, '{}', '{}', 'bench')`,
    [
      artifact.ref,
      artifact.sha256,
      artifact.sizeBytes,
      JSON.stringify(parsed.contract),
      modelContractDigest(parsed.contract),
      JSON.stringify(golden),
    ],
  );
  await client.query(
    `insert into routing (tenant_id, env, kind, name, epoch, active, arms, salt, shadow, min_epoch)
     values ('default', 'prod', 'model', 'bench', 1, 1, '[]', $1, '[]', 1)`,
    [randomBytes(32)],
  );
  await client.end();
}

/** A service principal's key, made through the API. */
async function issueKey(api: string, adminKey: string): Promise<string> {
  const post = async (path: string, body: object): Promise<Record<string, string>> => {
    const response = await fetch(api + path, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${adminKey}`,
        'content-type': 'application/json',
        'idempotency-key': randomUUID(),
      },
      body: JSON.stringify(body),
    });
    if (response.status >= 300) throw new Error(await response.text());
    return (await response.json()) as Record<string, string>;
  };
  const principal = await post('/v1/principals', {
    kind: 'service',
    name: 'bench',
    roles: ['service'],
  });
  const made = await post('/v1/api-keys', { principalId: principal.id, env: 'prod' });
  return String(made.key);
}

/** What ends what was started, the last first. */
type Ends = (() => Promise<unknown>)[];

/** Variables of every process of an installation, on free ports. */
async function environment(stateDir: string): Promise<Record<string, string>> {
  const names = [
    'ANNEAL_API_PORT',
    'ANNEAL_INTERNAL_PORT',
    'ANNEAL_WORKER_METRICS_PORT',
    'ANNEAL_POSTGRES_PORT',
    'ANNEAL_TEMPORAL_PORT',
    'ANNEAL_TEMPORAL_UI_PORT',
  ];
  const ports = await Promise.all(names.map(async (name) => [name, String(await freePort())]));
  return childEnv({
    ...(Object.fromEntries(ports) as Record<string, string>),
    ANNEAL_STATE_DIR: stateDir,
    ANNEAL_TEMPORAL_METRICS_PORT: '0',
    ANNEAL_LOG_LEVEL: 'warn',
  });
}

/** Starts entries side by side; what of them has begun is ended with the rest. */
async function startAll(entries: [string, Record<string, string>][], ends: Ends) {
  const started = entries.map(async ([entry, env]) => {
    const child = await start(entry, env);
    ends.push(() => stop(child));
    return child;
  });
  await Promise.allSettled(started);
  return Promise.all(started);
}

async function open(
  stateDir: string,
  of: { settings: Record<string, string>; alone: boolean },
  ends: Ends,
): Promise<Omit<Installation, 'stop'>> {
  const { settings, alone } = of;
  const env = await environment(stateDir);
  const config = loadConfig(env);
  const postgres = await startDevPostgres(config, say);
  ends.push(() => postgres.server.stop());
  const temporal = await startDevTemporal(config, say);
  ends.push(async () => temporal.server?.stop());
  const { adminKey } = await bootstrapInstallation(config, postgres.urls);
  const database = new URL(postgres.server.adminUrl);
  database.pathname = '/anneal';
  const adminUrl = database.toString();
  await seedModel(adminUrl, stateDir);
  const ours = {
    ...env,
    TEMPORAL_ADDRESS: temporal.address,
    ANNEAL_API_DATABASE_URL: postgres.urls.api,
    ANNEAL_WORKER_DATABASE_URL: postgres.urls.worker,
    ANNEAL_RELAY_DATABASE_URL: postgres.urls.relay,
    ANNEAL_WORKER_ROLES: 'orchestration,inference',
    ...(alone ? { ANNEAL_WORKFLOW_BUNDLE: projectFolder('dist/workflow-bundle.js') } : {}),
    ...settings,
  };
  const barePort = await freePort();
  const bare = childEnv({ BARE_ADDRESS: temporal.address, BARE_PORT: String(barePort) });
  const entryOf = (name: string): string =>
    alone ? `../../dist/main/${name}.js` : `../../src/main/${name}.ts`;
  const [ourApi, ourWorker, bareApi, bareWorker] = await startAll(
    [
      [entryOf('api'), ours],
      [entryOf('worker'), ours],
      ...(alone ? [] : (['api', 'worker'] as const).map(bareEntry(bare))),
    ],
    ends,
  );
  const shared = { temporal: temporal.server?.pid ?? 0, postgres: postgres.server.pid };
  const api = `http://127.0.0.1:${config.api.port}`;
  return {
    api,
    bare: `http://127.0.0.1:${barePort}`,
    serviceKey: await issueKey(api, String(adminKey)),
    adminKey: String(adminKey),
    temporalAddress: temporal.address,
    adminUrl,
    processes: {
      ours: { ...shared, api: ourApi?.pid ?? 0, worker: ourWorker?.pid ?? 0 },
      baseline: { ...shared, api: bareApi?.pid ?? 0, worker: bareWorker?.pid ?? 0 },
    },
  };
}

const bareEntry =
  (env: Record<string, string>) =>
  (name: string): [string, Record<string, string>] => [`./bare-${name}.ts`, env];

/**
 * One Temporal server, one Postgres, our API and worker, the baseline's API and worker. Where one of them does not start, the
 * others are ended.
 * @param of.settings what our processes are told besides
 * @param of.alone no baseline, and ours compiled, as a container runs them: after `npm run build`
 */
export async function startInstallation(
  of: { settings?: Record<string, string>; alone?: boolean } = {},
): Promise<Installation> {
  const { settings = {}, alone = false } = of;
  const stateDir = await mkdtemp(join(tmpdir(), 'anneal-bench-'));
  await chmod(stateDir, 0o755);
  const ends: Ends = [];
  const stopAll = async (): Promise<void> => {
    for (const end of ends.reverse()) await end();
    await rm(stateDir, { recursive: true, force: true });
  };
  try {
    return { ...(await open(stateDir, { settings, alone }, ends)), stop: stopAll };
  } catch (error) {
    await stopAll();
    throw error;
  }
}
