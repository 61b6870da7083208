import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { loadClientConnectConfig } from '@temporalio/envconfig';
import { z } from 'zod';
import { egressAllowanceOf, type EgressAllowance } from './domain/egress-allowance.js';
import { workerRoles, type WorkerRole } from './domain/task-queues.js';
import { DAY_MS } from './domain/units.js';

const port = (fallback: number) => z.coerce.number().int().min(0).max(65_535).default(fallback);
const count = (fallback: number, min: number, max: number) =>
  z.coerce.number().int().min(min).max(max).default(fallback);
const tokens = z.coerce.number().int().min(1).max(1e9).optional();

/**
 * Every variable the platform reads, with its meaning; docs/configuration.md is generated from these descriptions.
 * `TEMPORAL_*` and `OTEL_*` are read by their own libraries; those named here decide something of ours.
 */
export const environmentSchema = z.object({
  ANNEAL_API_PORT: port(7080).describe('Port of the public API (`/v1`, `/docs`, `/openapi.json`).'),
  ANNEAL_INTERNAL_PORT: port(7081).describe(
    'Port of the internal listener: `/livez`, `/readyz`, `/metrics`.',
  ),
  ANNEAL_WORKER_METRICS_PORT: port(7082).describe('Port of the worker’s `/metrics`.'),
  ANNEAL_TEMPORAL_METRICS_PORT: port(7084).describe(
    'Port of Temporal core’s Prometheus endpoint in the worker; 0 turns it off.',
  ),
  ANNEAL_POSTGRES_PORT: port(7083).describe(
    'Port of the bundled Postgres (`npm start` and tests).',
  ),
  ANNEAL_TEMPORAL_PORT: port(7233).describe('Port of the bundled Temporal server.'),
  ANNEAL_TEMPORAL_UI_PORT: port(8233).describe('Port of the bundled Temporal Web UI.'),
  ANNEAL_TEMPORAL_UI_URL: z
    .string()
    .optional()
    .describe('Base of the links to the Temporal Web UI; the bundled one by default.'),
  ANNEAL_HOST: z.string().default('127.0.0.1').describe('Address that the public API listens on.'),
  ANNEAL_INTERNAL_HOST: z
    .string()
    .default('127.0.0.1')
    .describe('Address that the internal listener and the worker’s metrics listen on.'),
  ANNEAL_STATE_DIR: z
    .string()
    .default('.anneal')
    .describe('Folder of all local state: databases, artifacts, keys, logs.'),
  ANNEAL_CACHE_DIR: z
    .string()
    .optional()
    .describe('Folder of obtained binaries; the user’s cache folder + `anneal` by default.'),
  ANNEAL_API_DATABASE_URL: z.string().optional().describe('Postgres URL of role anneal_api.'),
  ANNEAL_WORKER_DATABASE_URL: z.string().optional().describe('Postgres URL of role anneal_worker.'),
  ANNEAL_RELAY_DATABASE_URL: z.string().optional().describe('Postgres URL of role anneal_relay.'),
  DATABASE_URL: z
    .string()
    .optional()
    .describe('Postgres URL of role anneal_owner: migrations only.'),
  ANNEAL_DATABASE_POOL_COUNT: count(10, 2, 100).describe('Connections per pool and process.'),
  ANNEAL_WORKER_ROLES: z
    .string()
    .default(workerRoles.join(','))
    .describe('Roles of this worker, comma-separated: orchestration, inference, etl, training.'),
  ANNEAL_WORKFLOW_BUNDLE: z
    .string()
    .optional()
    .describe('Path of a prebuilt workflow bundle; built at start where unset.'),
  ANNEAL_RUNTIME_CHILD_COUNT: count(2, 1, 4).describe(
    'Child processes of the ONNX runtime per worker.',
  ),
  ANNEAL_MAX_CACHED_WORKFLOWS_COUNT: count(500, 10, 10_000).describe(
    'Workflows kept in memory per worker.',
  ),
  ANNEAL_SHUTDOWN_GRACE_MS: count(15_000, 0, 600_000).describe(
    'How long running activities may finish after SIGTERM.',
  ),
  ANNEAL_DRAIN_MS: count(0, 0, 60_000).describe(
    'How long the API stays up, not ready, before it stops accepting (5000 behind a load balancer).',
  ),
  ANNEAL_DATASETS_UPLOAD_BYTES: count(268_435_456, 1_024, 10_737_418_240).describe(
    'Largest uploaded file in bytes (256 MiB).',
  ),
  ANNEAL_SOURCE_FOLDERS: z
    .string()
    .optional()
    .describe(
      'Folders that folder sources may read, comma-separated; none by default, `npm start` allows its own folder.',
    ),
  ANNEAL_ETL_HEARTBEAT_MS: count(30_000, 1_000, 600_000).describe(
    'Silence after which a step of a batch or a scan is given to another worker; holds for sources made from then on.',
  ),
  ANNEAL_ETL_BATCHES_PER_RUN_COUNT: count(100, 2, 100).describe(
    'Batches after which the watcher of a source goes on as a new run; holds for sources made from then on.',
  ),
  ANNEAL_PARSER_CHILD_COUNT: count(1, 1, 8).describe(
    'Child processes that parse documents, per worker of role etl; each may use 512 MiB.',
  ),
  ANNEAL_EGRESS_ALLOW: z
    .string()
    .optional()
    .describe(
      'Where addresses in pushed messages may lead, comma-separated: `https://files.example.com`, `https://*` for any public host, `http://10.0.0.5:8080 private` for one inside; nowhere by default.',
    ),
  ANNEAL_EMBEDDING_URL: z
    .url({ protocol: /^https?$/ })
    .optional()
    .describe('OpenAI-compatible service, up to and without `/embeddings`: the embedder `openai`.'),
  ANNEAL_EMBEDDING_MODEL: z
    .string()
    .min(1)
    .optional()
    .describe('Model of the embedder `openai`; needed with ANNEAL_EMBEDDING_URL.'),
  ANNEAL_EMBEDDING_DIMS: z.coerce
    .number()
    .int()
    .min(1)
    .max(4_000)
    .optional()
    .describe('Dimensions of its vectors; needed with ANNEAL_EMBEDDING_URL.'),
  ANNEAL_EMBEDDING_KEY_FILE: z
    .string()
    .optional()
    .describe('File with its bearer token; none where the service wants none.'),
  ANNEAL_EMBEDDING_TOKENS_PER_SECOND: tokens.describe(
    'Tokens a second that all workers together send to it for one tenant; without it as many as they like.',
  ),
  ANNEAL_EMBEDDING_BURST_TOKENS: tokens.describe(
    'Tokens that may go at once after a pause; default: those of one second.',
  ),
  ANNEAL_PGVECTOR_URL: z
    .url({ protocol: /^postgres(ql)?$/ })
    .optional()
    .describe('Postgres with pgvector 0.8.4 or later: the vector store `pgvector`.'),
  ANNEAL_MILVUS_ADDRESS: z
    .string()
    .regex(/^(https?:\/\/)?[\w.[\]:-]+:\d+$/, 'is not host:port or https://host:port')
    .optional()
    .describe('Milvus as `host:port`, or `https://host:port` for TLS: the vector store `milvus`.'),
  ANNEAL_MILVUS_TOKEN_FILE: z
    .string()
    .optional()
    .describe('File with its API key or `user:password`; none where it wants none.'),
  ANNEAL_RETENTION_MS: count(30 * DAY_MS, 3_600_000, 365 * DAY_MS).describe(
    'How long the Temporal namespace keeps closed runs.',
  ),
  ANNEAL_LOG_LEVEL: z
    .enum(['trace', 'debug', 'info', 'warn', 'error'])
    .default('info')
    .describe('Least level that is logged.'),
  ANNEAL_API_URL: z
    .string()
    .optional()
    .describe('Address of the API for the CLI; the local one by default.'),
  ANNEAL_API_KEY: z
    .string()
    .optional()
    .describe('API key for the CLI; `.anneal/keys.json` by default.'),
  ANNEAL_TEMPORAL_CLI_SHA256: z
    .string()
    .optional()
    .describe(
      'SHA-256 of the Temporal CLI archive for this platform; without it the download is skipped.',
    ),
  ANNEAL_TEST_TIME_SKIPPING_SERVER: z
    .string()
    .optional()
    .describe(
      'Path of a time-skipping Temporal test server for the tests that use true durations.',
    ),
  ANNEAL_OTEL: z
    .enum(['on', 'off'])
    .default('off')
    .describe('Turns the OpenTelemetry exporter on; `OTEL_*` configure it.'),
  TEMPORAL_ADDRESS: z
    .string()
    .optional()
    .describe('A Temporal cluster or Cloud instead of the bundled server.'),
  TEMPORAL_NAMESPACE: z.string().default('default').describe('Temporal namespace.'),
  TEMPORAL_DEPLOYMENT_NAME: z
    .string()
    .optional()
    .describe('Worker deployment name; with the build id it switches worker versioning on.'),
  TEMPORAL_WORKER_BUILD_ID: z.string().optional().describe('Worker build id.'),
});

type ConnectionSettings = ReturnType<typeof loadClientConnectConfig>['connectionOptions'];

/** Configuration with meaning: paths absolute, lists parsed, contradictions refused. */
export interface Config {
  api: {
    host: string;
    port: number;
    internalHost: string;
    internalPort: number;
    drainMs: number;
    uploadBytes: number;
  };
  worker: {
    roles: WorkerRole[];
    metricsPort: number;
    temporalMetricsPort: number;
    bundlePath: string | undefined;
    runtimeChildCount: number;
    maxCachedWorkflows: number;
    shutdownGraceMs: number;
    deployment: { deploymentName: string; buildId: string } | undefined;
  };
  postgres: {
    port: number;
    ownerUrl: string | undefined;
    apiUrl: string | undefined;
    workerUrl: string | undefined;
    relayUrl: string | undefined;
    poolCount: number;
  };
  temporal: {
    address: string | undefined;
    namespace: string;
    port: number;
    uiPort: number;
    uiUrl: string;
    retentionMs: number;
    cliSha256: string | undefined;
    /** TLS, API key and address as `TEMPORAL_*` and its profile file give them; `address` stands in where none is set. */
    connection: (address?: string) => ConnectionSettings;
  };
  etl: {
    /** Absolute folders that folder sources may lie in. */
    sourceFolders: string[];
    parserChildCount: number;
    heartbeatMs: number;
    batchesPerRun: number;
    egressAllow: EgressAllowance[];
    /** The OpenAI-compatible embedder, where one is configured. */
    embedding:
      | {
          url: string;
          model: string;
          dims: number;
          keyFile: string | undefined;
          rate: { perSecond: number; burst: number } | undefined;
        }
      | undefined;
    /** Vector stores beside the embedded one. */
    stores: {
      pgvectorUrl: string | undefined;
      milvus: { address: string; tokenFile: string | undefined } | undefined;
    };
  };
  stateDir: string;
  cacheDir: string;
  logLevel: 'trace' | 'debug' | 'info' | 'warn' | 'error';
  telemetry: boolean;
  cli: { apiUrl: string; apiKey: string | undefined };
}

/** A configuration that contradicts itself; `reasons` names every one with its variable. */
export class ConfigError extends Error {
  readonly reasons: string[];
  constructor(reasons: string[]) {
    super(`configuration refused:\n${reasons.map((reason) => `  - ${reason}`).join('\n')}`);
    this.name = 'ConfigError';
    this.reasons = reasons;
  }
}

type Environment = z.infer<typeof environmentSchema>;

function rolesOf(text: string): { roles: WorkerRole[]; wrong: string[] } {
  const names = text.split(',').map((name) => name.trim());
  const isRole = (name: string): name is WorkerRole => (workerRoles as string[]).includes(name);
  return { roles: names.filter(isRole), wrong: names.filter((name) => !isRole(name)) };
}

const listOf = (text: string | undefined): string[] =>
  (text ?? '')
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '');

function etlOf(env: Environment): Config['etl'] {
  const { ANNEAL_EMBEDDING_URL: url, ANNEAL_EMBEDDING_MODEL: model } = env;
  const { ANNEAL_EMBEDDING_DIMS: dims, ANNEAL_EMBEDDING_KEY_FILE: keyFile } = env;
  const { ANNEAL_EMBEDDING_TOKENS_PER_SECOND: perSecond } = env;
  const burst = env.ANNEAL_EMBEDDING_BURST_TOKENS ?? perSecond;
  const rate = perSecond === undefined || burst === undefined ? undefined : { perSecond, burst };
  const { ANNEAL_MILVUS_ADDRESS: address, ANNEAL_MILVUS_TOKEN_FILE: tokenFile } = env;
  return {
    sourceFolders: listOf(env.ANNEAL_SOURCE_FOLDERS).map((folder) => resolve(folder)),
    parserChildCount: env.ANNEAL_PARSER_CHILD_COUNT,
    heartbeatMs: env.ANNEAL_ETL_HEARTBEAT_MS,
    batchesPerRun: env.ANNEAL_ETL_BATCHES_PER_RUN_COUNT,
    egressAllow: listOf(env.ANNEAL_EGRESS_ALLOW).flatMap((text) => egressAllowanceOf(text) ?? []),
    embedding:
      url === undefined || model === undefined || dims === undefined
        ? undefined
        : { url, model, dims, keyFile, rate },
    stores: {
      pgvectorUrl: env.ANNEAL_PGVECTOR_URL,
      milvus: address === undefined ? undefined : { address, tokenFile },
    },
  };
}

function contradictions(env: Environment): string[] {
  const reasons: string[] = [];
  for (const text of listOf(env.ANNEAL_EGRESS_ALLOW))
    if (egressAllowanceOf(text) === undefined)
      reasons.push(`ANNEAL_EGRESS_ALLOW: "${text}" is not \`https://host[:port][ private]\``);
  const embedding = [
    env.ANNEAL_EMBEDDING_URL,
    env.ANNEAL_EMBEDDING_MODEL,
    env.ANNEAL_EMBEDDING_DIMS,
  ];
  if (embedding.includes(undefined) && embedding.some((value) => value !== undefined))
    reasons.push(
      'ANNEAL_EMBEDDING_URL, ANNEAL_EMBEDDING_MODEL and ANNEAL_EMBEDDING_DIMS: set all or none',
    );
  const { ANNEAL_EMBEDDING_TOKENS_PER_SECOND: rate } = env;
  if (rate === undefined && env.ANNEAL_EMBEDDING_BURST_TOKENS !== undefined)
    reasons.push('ANNEAL_EMBEDDING_BURST_TOKENS: set ANNEAL_EMBEDDING_TOKENS_PER_SECOND with it');
  const { wrong, roles } = rolesOf(env.ANNEAL_WORKER_ROLES);
  for (const name of wrong) reasons.push(`ANNEAL_WORKER_ROLES: unknown role "${name}"`);
  if (roles.length === 0) reasons.push('ANNEAL_WORKER_ROLES: name at least one role');
  if (
    (env.TEMPORAL_DEPLOYMENT_NAME === undefined) !==
    (env.TEMPORAL_WORKER_BUILD_ID === undefined)
  ) {
    reasons.push('TEMPORAL_DEPLOYMENT_NAME and TEMPORAL_WORKER_BUILD_ID: set both or neither');
  }
  return reasons;
}

function nested(env: Environment): Config {
  const cacheHome = process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache');
  const deployment =
    env.TEMPORAL_DEPLOYMENT_NAME === undefined || env.TEMPORAL_WORKER_BUILD_ID === undefined
      ? undefined
      : { deploymentName: env.TEMPORAL_DEPLOYMENT_NAME, buildId: env.TEMPORAL_WORKER_BUILD_ID };
  return {
    api: {
      host: env.ANNEAL_HOST,
      port: env.ANNEAL_API_PORT,
      internalHost: env.ANNEAL_INTERNAL_HOST,
      internalPort: env.ANNEAL_INTERNAL_PORT,
      drainMs: env.ANNEAL_DRAIN_MS,
      uploadBytes: env.ANNEAL_DATASETS_UPLOAD_BYTES,
    },
    worker: {
      roles: rolesOf(env.ANNEAL_WORKER_ROLES).roles,
      metricsPort: env.ANNEAL_WORKER_METRICS_PORT,
      temporalMetricsPort: env.ANNEAL_TEMPORAL_METRICS_PORT,
      bundlePath: env.ANNEAL_WORKFLOW_BUNDLE,
      runtimeChildCount: env.ANNEAL_RUNTIME_CHILD_COUNT,
      maxCachedWorkflows: env.ANNEAL_MAX_CACHED_WORKFLOWS_COUNT,
      shutdownGraceMs: env.ANNEAL_SHUTDOWN_GRACE_MS,
      deployment,
    },
    postgres: {
      port: env.ANNEAL_POSTGRES_PORT,
      ownerUrl: env.DATABASE_URL,
      apiUrl: env.ANNEAL_API_DATABASE_URL,
      workerUrl: env.ANNEAL_WORKER_DATABASE_URL,
      relayUrl: env.ANNEAL_RELAY_DATABASE_URL,
      poolCount: env.ANNEAL_DATABASE_POOL_COUNT,
    },
    temporal: {
      address: env.TEMPORAL_ADDRESS,
      namespace: env.TEMPORAL_NAMESPACE,
      port: env.ANNEAL_TEMPORAL_PORT,
      uiPort: env.ANNEAL_TEMPORAL_UI_PORT,
      uiUrl: env.ANNEAL_TEMPORAL_UI_URL ?? `http://127.0.0.1:${env.ANNEAL_TEMPORAL_UI_PORT}`,
      retentionMs: env.ANNEAL_RETENTION_MS,
      cliSha256: env.ANNEAL_TEMPORAL_CLI_SHA256,
      connection: (address) => {
        const { connectionOptions } = loadClientConnectConfig();
        return { ...connectionOptions, ...(address === undefined ? {} : { address }) };
      },
    },
    etl: etlOf(env),
    stateDir: resolve(env.ANNEAL_STATE_DIR),
    cacheDir: resolve(env.ANNEAL_CACHE_DIR ?? join(cacheHome, 'anneal')),
    logLevel: env.ANNEAL_LOG_LEVEL,
    telemetry: env.ANNEAL_OTEL === 'on',
    cli: {
      apiUrl: env.ANNEAL_API_URL ?? `http://127.0.0.1:${env.ANNEAL_API_PORT}`,
      apiKey: env.ANNEAL_API_KEY,
    },
  };
}

/**
 * Reads the environment once. Empty variables count as unset.
 * @throws ConfigError naming every wrong variable at once
 */
export function loadConfig(overrides: Record<string, string> = {}): Config {
  const given = Object.entries({ ...process.env, ...overrides }).filter(
    ([, value]) => value !== '',
  );
  const parsed = environmentSchema.safeParse(Object.fromEntries(given));
  if (!parsed.success) {
    throw new ConfigError(
      parsed.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`),
    );
  }
  const reasons = contradictions(parsed.data);
  if (reasons.length > 0) throw new ConfigError(reasons);
  return nested(parsed.data);
}

/** The environment of a process we start: ours, with `extra` on top. */
export const childEnv = (extra: Record<string, string> = {}): Record<string, string> => ({
  ...Object.fromEntries(
    Object.entries(process.env).filter(
      (entry): entry is [string, string] => entry[1] !== undefined,
    ),
  ),
  ...extra,
});
