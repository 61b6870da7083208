import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { loadClientConnectConfig } from '@temporalio/envconfig';
import { environmentSchema, type Environment } from './environment.js';
import { egressAllowanceOf, type EgressAllowance } from './domain/egress-allowance.js';
import { workerRoles, type WorkerRole } from './domain/task-queues.js';

type ConnectionSettings = ReturnType<typeof loadClientConnectConfig>['connectionOptions'];

/** Configuration with meaning: paths absolute, lists parsed, contradictions refused. */
export interface Config {
  api: {
    host: string;
    port: number;
    /** Names that a Host header may have; undefined where none are said and none follow: {@link requireHosts}. */
    hosts: ReadonlySet<string> | undefined;
    connectionCount: number;
    addressConnectionCount: number;
    inflightCount: number;
    replicaCount: number;
    /** A minute, over all processes; 0: no limit. */
    rates: { address: number; key: number; tenant: number; failures: number };
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
    /** What an embedder takes of one text, its prefix included. */
    maxTokens: number;
    /** The OpenAI-compatible embedder, where one is configured. */
    embedding:
      | {
          url: string;
          model: string;
          dims: number;
          /** Empty where none is said. */
          revision: string;
          /** Whether requests carry `dimensions`. */
          sendDims: boolean;
          prefixes: { document: string; query: string };
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
  /** Folder of backups and archived WAL; undefined: no archive. */
  backupDir: string | undefined;
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

function embeddingOf(env: Environment): Config['etl']['embedding'] {
  const { ANNEAL_EMBEDDING_URL: url, ANNEAL_EMBEDDING_MODEL: model } = env;
  const { ANNEAL_EMBEDDING_DIMS: dims, ANNEAL_EMBEDDING_KEY_FILE: keyFile } = env;
  if (url === undefined || model === undefined || dims === undefined) return undefined;
  const { ANNEAL_EMBEDDING_TOKENS_PER_SECOND: perSecond } = env;
  const burst = env.ANNEAL_EMBEDDING_BURST_TOKENS ?? perSecond;
  const rate = perSecond === undefined || burst === undefined ? undefined : { perSecond, burst };
  const prefixes = {
    document: env.ANNEAL_EMBEDDING_DOCUMENT_PREFIX ?? '',
    query: env.ANNEAL_EMBEDDING_QUERY_PREFIX ?? '',
  };
  const sendDims = env.ANNEAL_EMBEDDING_SEND_DIMS === 'on';
  const revision = env.ANNEAL_EMBEDDING_REVISION ?? '';
  return { url, model, dims, revision, sendDims, prefixes, keyFile, rate };
}

function etlOf(env: Environment): Config['etl'] {
  const { ANNEAL_MILVUS_ADDRESS: address, ANNEAL_MILVUS_TOKEN_FILE: tokenFile } = env;
  return {
    sourceFolders: listOf(env.ANNEAL_SOURCE_FOLDERS).map((folder) => resolve(folder)),
    parserChildCount: env.ANNEAL_PARSER_CHILD_COUNT,
    heartbeatMs: env.ANNEAL_ETL_HEARTBEAT_MS,
    batchesPerRun: env.ANNEAL_ETL_BATCHES_PER_RUN_COUNT,
    egressAllow: listOf(env.ANNEAL_EGRESS_ALLOW).flatMap((text) => egressAllowanceOf(text) ?? []),
    maxTokens: env.ANNEAL_EMBEDDING_MAX_TOKENS,
    embedding: embeddingOf(env),
    stores: {
      pgvectorUrl: env.ANNEAL_PGVECTOR_URL,
      milvus: address === undefined ? undefined : { address, tokenFile },
    },
  };
}

const LOOPBACK = ['localhost', '127.0.0.1', '[::1]'];

/** Whether this host stands for every address of the machine, however it is written: `0`, `::0`, `0.0.0.0`. */
function isEveryAddress(host: string): boolean {
  const inUrl = host.includes(':') && !host.startsWith('[') ? `[${host}]` : host;
  const { hostname } = URL.parse(`http://${inUrl}/`) ?? { hostname: host };
  return ['0.0.0.0', '[::]', '[::ffff:0:0]'].includes(hostname);
}

/** Whoever listens on every address has no name that follows from it. */
function hostsOf(env: Environment): ReadonlySet<string> | undefined {
  const named = listOf(env.ANNEAL_API_HOSTS).map((name) => name.toLowerCase());
  if (named.length > 0) return new Set(named);
  const { ANNEAL_HOST: host } = env;
  if (isEveryAddress(host)) return undefined;
  return new Set([...LOOPBACK, host.toLowerCase()]);
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
      hosts: hostsOf(env),
      connectionCount: env.ANNEAL_API_CONNECTION_COUNT,
      addressConnectionCount: env.ANNEAL_API_ADDRESS_CONNECTION_COUNT,
      inflightCount: env.ANNEAL_API_INFLIGHT_COUNT,
      replicaCount: env.ANNEAL_API_REPLICA_COUNT,
      rates: {
        address: env.ANNEAL_RATE_ADDRESS_PER_MINUTE,
        key: env.ANNEAL_RATE_KEY_PER_MINUTE,
        tenant: env.ANNEAL_RATE_TENANT_PER_MINUTE,
        failures: env.ANNEAL_RATE_FAILURES_PER_MINUTE,
      },
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
    backupDir: env.ANNEAL_BACKUP_DIR === undefined ? undefined : resolve(env.ANNEAL_BACKUP_DIR),
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
 * The names that requests to the API may name. Asked by what serves the API and not of every process: images and hosts give
 * `ANNEAL_HOST` to workers as well.
 * @throws ConfigError where the API would answer to any name: a page that rebinds its own name would reach it
 */
export function requireHosts({ api }: Pick<Config, 'api'>): ReadonlySet<string> {
  if (api.hosts !== undefined) return api.hosts;
  throw new ConfigError([
    `ANNEAL_API_HOSTS: ANNEAL_HOST is "${api.host}", every address; set the names that callers reach the API by, such as \`api.example.com,localhost\``,
  ]);
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
