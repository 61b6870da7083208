import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { connectTemporal, type TemporalClient } from '../adapters/temporal/connect.js';
import { devServerDynamicConfig } from '../adapters/temporal/dev-server-arguments.js';
import { findTemporal, type FoundTemporal } from '../adapters/temporal/find-temporal.js';
import {
  compareSearchAttributes,
  presentAttributes,
} from '../adapters/temporal/register-search-attributes.js';
import type { Probe, ProbeResult } from '../cli/doctor.js';
import { childEnv, type Config } from '../config.js';
import { searchAttributes } from '../domain/search-attributes.js';
import { projectFolder } from './project-folder.js';

// Probes of Temporal: which of the five places gives it, the server that runs, and what the platform needs of it.

const CONNECT_TIMEOUT_MS = 3_000;

const places = {
  1: 'TEMPORAL_ADDRESS',
  2: '`temporal` on PATH',
  3: 'the cache folder',
  4: 'the CLI download',
  5: 'tools/temporal-dev',
} as const satisfies Record<FoundTemporal['source'], string>;

const addressOf = (config: Config): string =>
  config.temporal.address ?? `127.0.0.1:${config.temporal.port}`;

const isOurs = (config: Config): boolean => config.temporal.address === undefined;
const startFix = (config: Config): string =>
  isOurs(config) ? 'npm start' : `start the cluster at ${addressOf(config)}`;

async function withTemporal<T>(
  config: Config,
  work: (temporal: TemporalClient) => Promise<T>,
): Promise<T> {
  const address = addressOf(config);
  const temporal = await connectTemporal({
    connection: { ...config.temporal.connection(address), connectTimeout: CONNECT_TIMEOUT_MS },
    namespace: config.temporal.namespace,
    patienceMs: 0,
  }).catch((error: unknown) => {
    throw new Error(`nothing answers at ${address}`, { cause: error });
  });
  try {
    return await work(temporal);
  } finally {
    await temporal.close();
  }
}

const serverVersion = (config: Config): Promise<string> =>
  withTemporal(config, async ({ connection }) => {
    const { serverVersion } = await connection.workflowService.getSystemInfo({});
    return serverVersion ?? 'unknown';
  });

/** Which of the five places a start would take its server from. */
export const temporalSourceProbe = (config: Config): Probe => ({
  name: 'Temporal found',
  fix: isOurs(config) ? 'npm start   # downloads or builds it' : startFix(config),
  timeoutMs: 30_000,
  check: async (signal) => {
    const found = await findTemporal({
      signal,
      address: config.temporal.address,
      probeAddress: () => serverVersion(config),
      env: childEnv(),
      cacheDir: config.cacheDir,
      devServerSource: projectFolder('tools/temporal-dev'),
      obtain: false,
      log: () => undefined,
    });
    const where = found.kind === 'address' ? found.address : found.path;
    const ui = found.uiVersion === undefined ? '' : `, UI ${found.uiVersion}`;
    const detail = `(${found.source}) ${places[found.source]}: ${where}, server ${found.serverVersion}${ui}`;
    return { ok: true, detail };
  },
});

/** The server answers, and which version it is. */
export const temporalServerProbe = (config: Config): Probe => ({
  name: 'Temporal server',
  fix: startFix(config),
  check: async () => ({
    ok: true,
    detail: `${await serverVersion(config)} at ${addressOf(config)}`,
  }),
});

/** The Web UI answers at the address that links name. */
export const temporalUiProbe = (config: Config): Probe => {
  const { uiUrl } = config.temporal;
  return {
    name: 'Temporal UI',
    fix: isOurs(config) ? 'npm start' : 'set ANNEAL_TEMPORAL_UI_URL to the cluster’s Web UI',
    check: async () => {
      const answer = await fetch(`${uiUrl.replace(/\/+$/, '')}/api/v1/settings`, {
        signal: AbortSignal.timeout(5_000),
      }).catch((error: unknown) => {
        throw new Error(`nothing answers at ${uiUrl}`, { cause: error });
      });
      const settings = (await answer.json().catch(() => ({}))) as { Version?: unknown };
      const version = typeof settings.Version === 'string' ? settings.Version : 'unknown version';
      if (!answer.ok) return { ok: false, detail: `${uiUrl} answers ${answer.status}` };
      return { ok: true, detail: `${version} at ${uiUrl}` };
    },
  };
};

/** The namespace exists. */
export const namespaceProbe = (config: Config): Probe => {
  const { namespace } = config.temporal;
  return {
    name: 'Temporal namespace',
    fix: startFix(config),
    check: () =>
      withTemporal(config, async ({ connection }): Promise<ProbeResult> => {
        const found = await connection.workflowService
          .describeNamespace({ namespace })
          .catch(() => undefined);
        const fix = `temporal operator namespace create --namespace ${namespace}`;
        if (found === undefined) return { ok: false, detail: `${namespace} is not there`, fix };
        const seconds = Number(found.config?.workflowExecutionRetentionTtl?.seconds ?? 0);
        return { ok: true, detail: `${namespace}, keeps closed runs ${seconds / 86_400} days` };
      }),
  };
};

/** Every search attribute exists with its type. */
export const searchAttributeProbe = (config: Config): Probe => ({
  name: 'Search attributes',
  fix: startFix(config),
  check: () =>
    withTemporal(config, async ({ connection }): Promise<ProbeResult> => {
      const wanted = Object.values(searchAttributes);
      const { namespace } = config.temporal;
      const present = await presentAttributes(connection, namespace);
      const { missing, conflicting } = compareSearchAttributes(wanted, present);
      const names = (keys: { name: string }[]) => keys.map(({ name }) => name).join(', ');
      if (missing.length + conflicting.length === 0) return { ok: true, detail: names(wanted) };
      const parts = [
        ...(missing.length > 0 ? [`missing: ${names(missing)}`] : []),
        ...(conflicting.length > 0 ? [`of another type: ${names(conflicting)}`] : []),
      ];
      const [first] = conflicting;
      return {
        ok: false,
        detail: parts.join('; '),
        ...(first === undefined
          ? {}
          : {
              fix: `temporal operator search-attribute remove --namespace ${namespace} --name ${first.name}, then npm start`,
            }),
      };
    }),
});

/** The command line of a process; undefined where there is none. */
async function commandLine(pid: string): Promise<string | undefined> {
  const listed = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => undefined);
  if (listed !== undefined) return listed.replaceAll('\0', ' ');
  const answer = await promisify(execFile)('ps', ['-o', 'command=', '-p', pid]).catch(
    () => undefined,
  );
  return answer?.stdout;
}

/** The bundled server runs with the settings without which every step costs 50 ms. */
export const tuningProbe = (config: Config): Probe => ({
  name: 'Temporal tuning',
  fix: 'npm start   # after stopping the server that runs',
  check: async () => {
    if (!isOurs(config)) return { ok: true, detail: 'not our server: its operator tunes it' };
    const pidFile = join(config.stateDir, 'temporal.db.pid');
    const pid = (await readFile(pidFile, 'utf8').catch(() => '')).trim();
    const command = /^\d+$/.test(pid) ? await commandLine(pid) : undefined;
    if (command === undefined || !command.includes('start-dev'))
      return { ok: false, detail: 'our Temporal server does not run', fix: 'npm start' };
    const missing = Object.entries(devServerDynamicConfig)
      .map(([key, value]) => `${key}=${JSON.stringify(value)}`)
      .filter((setting) => !command.includes(setting));
    return missing.length === 0
      ? { ok: true, detail: `${Object.keys(devServerDynamicConfig).length} settings in force` }
      : { ok: false, detail: `not set: ${missing.join(', ')}` };
  },
});
