import { join } from 'node:path';
import { loadConfig } from '../../src/config.js';
import { bootstrapInstallation } from '../../src/main/bootstrap-installation.js';
import { startDevPostgres, startDevTemporal } from '../../src/main/dev-services.js';
import { keepServer, type Keep } from '../../src/main/keep-server.js';
import { writeWorkflowBundles } from '../../src/main/workflow-bundle.js';
import type { FromChild } from './messages.js';

// Postgres and Temporal as `npm start` keeps them: whoever kills one finds it back on the same files.

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

const config = loadConfig();
const bundle = join(config.stateDir, 'workflow-bundle.js');
const [postgres, temporal] = await Promise.all([
  startDevPostgres(config, say, keep),
  startDevTemporal(config, say, keep),
  writeWorkflowBundles(bundle),
]);
const { adminKey } = await bootstrapInstallation(config, postgres.urls);
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
      adminKey,
    },
  },
});
tell({ ready: true });
