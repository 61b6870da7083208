import { migrate } from '../adapters/postgres/migrate.js';
import { loadConfig } from '../config.js';
import { bootstrapInstallation } from './bootstrap-installation.js';
import { requireUrl } from './dependencies.js';
import { projectFolder } from './project-folder.js';
import { runStep } from './run-step.js';

// Readies a database before anything serves from it: the schema, then tenant `default` and its first administrator.
// Repeating it changes nothing. The first key is printed once and kept in the state folder's keys.json (0600).

await runStep('migrate', async () => {
  const config = loadConfig();
  const { ownerUrl, apiUrl, workerUrl, relayUrl } = config.postgres;
  const owner = requireUrl(ownerUrl, 'DATABASE_URL');
  const urls = {
    owner,
    api: requireUrl(apiUrl, 'ANNEAL_API_DATABASE_URL'),
    worker: workerUrl ?? '',
    relay: relayUrl ?? '',
  };
  const { applied, known } = await migrate(owner, projectFolder('prisma/migrations'));
  console.log(
    `schema ${known.at(-1) ?? 'empty'}: ${applied.length} of ${known.length} migrations applied now`,
  );
  const { adminKey } = await bootstrapInstallation(config, urls);
  if (adminKey !== undefined) console.log(`first admin key (shown once): ${adminKey}`);
});
