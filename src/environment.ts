import { z } from 'zod';
import { workerRoles } from './domain/task-queues.js';
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
  ANNEAL_API_HOSTS: z
    .string()
    .optional()
    .describe(
      'Host names that requests to the API may name, comma-separated and without port; by default the loopback names and ANNEAL_HOST. Where ANNEAL_HOST is every address (`0.0.0.0`, `::`) the API does not start without them.',
    ),
  ANNEAL_API_CONNECTION_COUNT: count(2_000, 10, 100_000).describe(
    'Open connections of the API, at most.',
  ),
  ANNEAL_API_ADDRESS_CONNECTION_COUNT: count(500, 1, 100_000).describe(
    'Open connections of one client address, at most; behind a load balancer as many as it opens.',
  ),
  ANNEAL_API_INFLIGHT_COUNT: count(1_000, 8, 100_000).describe(
    'Requests that the API works on at once, at most; within it the limit follows latency, event loop and database pool by itself.',
  ),
  ANNEAL_API_REPLICA_COUNT: count(1, 1, 1_000).describe(
    'API processes; while Postgres does not answer each one takes its part of the rates below.',
  ),
  ANNEAL_RATE_ADDRESS_PER_MINUTE: count(60_000, 0, 1e8).describe(
    'Requests a minute of one client address, over all processes; 0: no limit. Behind a load balancer all requests come from its address.',
  ),
  ANNEAL_RATE_KEY_PER_MINUTE: count(30_000, 0, 1e8).describe(
    'Requests a minute with one API key, over all processes; 0: no limit.',
  ),
  ANNEAL_RATE_TENANT_PER_MINUTE: count(60_000, 0, 1e8).describe(
    'Requests a minute of one tenant, over all processes; 0: no limit.',
  ),
  ANNEAL_RATE_FAILURES_PER_MINUTE: count(100, 0, 1e6).describe(
    'Failed authentications a minute of one client address, and at one key id; 0: no limit. Beyond it the address is refused for a minute, then twice as long each time.',
  ),
  ANNEAL_INTERNAL_HOST: z
    .string()
    .default('127.0.0.1')
    .describe('Address that the internal listener and the worker’s metrics listen on.'),
  ANNEAL_STATE_DIR: z
    .string()
    .default('.anneal')
    .describe('Folder of all local state: databases, artifacts, keys, logs.'),
  ANNEAL_BACKUP_DIR: z
    .string()
    .optional()
    .describe(
      'Folder of backups of the bundled Postgres, best on another disk. Where it is set, `npm start` archives every change to it within about a minute, encrypted; without it a backup holds the moment it was made at.',
    ),
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
  ANNEAL_MAX_CACHED_WORKFLOWS_COUNT: count(500, 0, 10_000).describe(
    'Workflows kept in memory per worker; with 0 every task replays its history. The worker of inferences keeps at least 40.',
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
  ANNEAL_EMBEDDING_REVISION: z
    .string()
    .max(200)
    .optional()
    .describe(
      'Revision of that model, any text: part of what vectors are told apart by. A new one needs a re-embed of its collections.',
    ),
  ANNEAL_EMBEDDING_SEND_DIMS: z
    .enum(['on', 'off'])
    .default('off')
    .describe('Sends `dimensions` with each request: only for models that shorten their vectors.'),
  ANNEAL_EMBEDDING_DOCUMENT_PREFIX: z
    .string()
    .max(1_000)
    .optional()
    .describe(
      'Put before each text of a document, as some models want it, its last space included.',
    ),
  ANNEAL_EMBEDDING_QUERY_PREFIX: z
    .string()
    .max(1_000)
    .optional()
    .describe('Put before each query, as some models want it, its last space included.'),
  ANNEAL_EMBEDDING_MAX_TOKENS: count(8_192, 64, 131_072).describe(
    'Tokens that the model takes of one text, its prefix included; chunks are split until they fit. A new number chunks all documents anew.',
  ),
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

/** The variables as they were given. */
export type Environment = z.infer<typeof environmentSchema>;
