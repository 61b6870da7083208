import { join } from 'node:path';
import { openFolderStore } from '../adapters/artifacts/folder-store.js';
import { createCheckpointFile } from '../adapters/checkpoint-file/checkpoint-file.js';
import { openDatabase, type Database } from '../adapters/postgres/database.js';
import { assertSchema } from '../adapters/postgres/migrate.js';
import { connectTemporal, type TemporalClient } from '../adapters/temporal/connect.js';
import { createStarter, type Starter } from '../adapters/temporal/starter.js';
import { ConfigError, type Config } from '../config.js';
import type { ArtifactStore } from '../domain/artifacts.js';
import { createCongestion, type Congestion } from './congestion.js';
import { createLog } from './log.js';
import { createMetrics, type Metrics } from './metrics.js';
import { projectFolder } from './project-folder.js';
import { startTelemetry, type Telemetry } from './telemetry.js';

/** What API and workers are built from: every adapter, opened once. */
export interface Parts {
  config: Config;
  log: ReturnType<typeof createLog>;
  metrics: Metrics;
  /** What this process feels of its load. */
  congestion: Congestion;
  db: Database;
  artifacts: ArtifactStore;
  temporal: TemporalClient;
  starter: Starter;
  telemetry: Telemetry['plugin'];
  checkpoints: ReturnType<typeof createCheckpointFile>;
  /** Folder of the keys: pepper, pseudonym, field and approval keys. */
  keyFolder: string;
  close: () => Promise<void>;
}

const TEMPORAL_PATIENCE_MS = 30_000;
/**
 * Starts and wakes that fail are committed already, and the relay repeats them: nobody waits longer than half a second, and
 * a process that stops leaves no call behind that is tried again.
 */
const TEMPORAL_ATTEMPTS = 3;

/** The database URL of a role. @throws ConfigError naming the variable */
export function requireUrl(url: string | undefined, variable: string): string {
  if (url !== undefined) return url;
  throw new ConfigError([`${variable}: set it to the Postgres URL of the role it names`]);
}

/**
 * Opens what a serving process needs. Refuses a database whose schema is not this build's.
 * @throws ConfigError, SCHEMA_MISMATCH
 */
export async function openParts(
  config: Config,
  as: { name: 'api' | 'worker'; databaseUrl: string },
): Promise<Parts> {
  const log = createLog(config, as.name);
  await assertSchema(as.databaseUrl, projectFolder('prisma/migrations'));
  const { plugin: telemetry, stop: stopTelemetry } = startTelemetry(config, `anneal-${as.name}`);
  const congestion = createCongestion();
  const db = openDatabase({
    url: as.databaseUrl,
    poolSize: config.postgres.poolCount,
    applicationName: `anneal-${as.name}`,
    observeWait: congestion.observeWait,
  });
  const artifacts = await openFolderStore({
    root: join(config.stateDir, 'artifacts'),
    nowMs: Date.now(),
  });
  const temporal = await connectTemporal({
    connection: config.temporal.connection(config.temporal.address),
    namespace: config.temporal.namespace,
    patienceMs: TEMPORAL_PATIENCE_MS,
    attempts: TEMPORAL_ATTEMPTS,
    plugins: [telemetry],
  });
  return {
    config,
    log,
    metrics: createMetrics(),
    congestion,
    db,
    artifacts,
    temporal,
    telemetry,
    starter: createStarter(temporal.client),
    checkpoints: createCheckpointFile(join(config.stateDir, 'audit', 'checkpoints')),
    keyFolder: join(config.stateDir, 'keys'),
    close: async () => {
      await temporal.close();
      await db.close();
      congestion.close();
      await stopTelemetry();
    },
  };
}
