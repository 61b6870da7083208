import { join } from 'node:path';
import { createTenantStore } from '../../src/adapters/postgres/access-tenants.js';
import { openDatabase } from '../../src/adapters/postgres/database.js';
import { createFileSigningSecrets } from '../../src/adapters/secrets/file-provider.js';
import { loadConfig } from '../../src/config.js';
import { bootstrapInstallation, policySeeds } from '../../src/main/bootstrap-installation.js';
import { startDevPostgres, startDevTemporal } from '../../src/main/dev-services.js';
import { keepServer, type Keep } from '../../src/main/keep-server.js';
import { obtainWorkflowBundles } from '../../src/main/bundle-cache.js';
import type { FromChild } from './messages.js';

// Postgres and Temporal as `npm start` keeps them: whoever kills one finds it back on the same files. Arguments name
// tenants to make besides `default`.

const say = (line: string): void => void process.stdout.write(`${line}\n`);
const tell = (message: FromChild): void => void process.send?.(message);

const running: { name: string; pid: () => number | undefined; stop: () => Promise<void> }[] = [];

const notePids = (): void =>
  tell({
    note: {
      name: 'pids',
      value: Object.fromEntries(running.map(({ name, pid }) => [name.toLowerCase(), pid()])),
    },
  });

const keep: Keep = async (name, start) => {
  const kept = keepServer({ name, start, say, onStart: notePids });
  running.push({ name, pid: kept.pid, stop: kept.stop });
  const server = await kept.ready;
  notePids();
  return server;
};

let stopping = false;
async function stopAll(): Promise<void> {
  if (stopping) return;
  stopping = true;
  for (const { stop } of running.reverse())
    await stop().catch((error: unknown) => say(String(error)));
  process.kill(process.pid, 'SIGKILL');
}
process.on('SIGTERM', () => void stopAll());
process.on('disconnect', () => void stopAll());

/** Makes tenants as a platform operator does. Answers the key of each administrator. */
async function addTenants(
  tenants: readonly string[],
  url: string,
): Promise<Record<string, string | undefined>> {
  const db = openDatabase({ url, poolSize: 2, applicationName: 'anneal-chaos-tenants' });
  try {
    const store = createTenantStore(db);
    const keys = createFileSigningSecrets(join(config.stateDir, 'keys'));
    const admin = { name: 'admin', roles: ['tenant-admin'], env: 'prod' } as const;
    const made: Record<string, string | undefined> = {};
    for (const tenant of tenants) {
      const of = { tenant, title: `Tenant ${tenant}`, policies: policySeeds() };
      const pepper = await keys.pepper();
      made[tenant] = (await store.bootstrap({ ...of, admin: { ...admin, pepper } })).adminKey;
    }
    return made;
  } finally {
    await db.close();
  }
}

const config = loadConfig();
const [postgres, temporal, bundle] = await Promise.all([
  startDevPostgres(config, say, keep),
  startDevTemporal(config, say, keep),
  obtainWorkflowBundles(config.stateDir, config.cacheDir),
]);
await bootstrapInstallation(config, postgres.urls);
const adminKeys = await addTenants(process.argv.slice(2), postgres.urls.api);
const admin = new URL(postgres.server.adminUrl);
admin.pathname = '/anneal';
tell({
  note: {
    name: 'services',
    value: {
      urls: postgres.urls,
      adminUrl: admin.toString(),
      temporalAddress: temporal.address,
      bundle,
      adminKeys,
    },
  },
});
tell({ ready: true });
