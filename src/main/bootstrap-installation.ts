import { chmod, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createTenantStore } from '../adapters/postgres/access-tenants.js';
import { openDatabase } from '../adapters/postgres/database.js';
import type { RoleUrls } from '../adapters/postgres/provision.js';
import { createFileSigningSecrets } from '../adapters/secrets/file-provider.js';
import type { Config } from '../config.js';
import { digestOf } from '../domain/digest.js';
import { defaultPolicy } from '../domain/evaluation/default-policy.js';

/** Policies that every tenant starts with. */
export const policySeeds = () => [
  {
    name: defaultPolicy.name,
    revision: defaultPolicy.revision,
    criteria: defaultPolicy.criteria,
    digest: digestOf('anneal.evaluation.policy.v1', {
      name: defaultPolicy.name,
      criteria: defaultPolicy.criteria,
      revision: defaultPolicy.revision,
    }),
  },
];

/** Keys of the local installation by role, `.anneal/keys.json`, mode 0600. */
export async function readLocalKeys(stateDir: string): Promise<Record<string, string>> {
  const text = await readFile(join(stateDir, 'keys.json'), 'utf8').catch(() => '{}');
  return JSON.parse(text) as Record<string, string>;
}

/** Adds keys to `.anneal/keys.json`; written whole, so that a crash leaves the old or the new file. */
export async function writeLocalKeys(
  stateDir: string,
  keys: Record<string, string>,
): Promise<void> {
  const path = join(stateDir, 'keys.json');
  const all = { ...(await readLocalKeys(stateDir)), ...keys };
  await writeFile(`${path}.new`, `${JSON.stringify(all, null, 2)}\n`, { mode: 0o600 });
  await chmod(`${path}.new`, 0o600);
  await rename(`${path}.new`, path);
}

/**
 * Makes tenant `default` and its first administrator; there is no default secret. The key is answered only while no
 * administrator exists, and kept in the local key file, because the tour works with it.
 */
export async function bootstrapInstallation(
  config: Config,
  urls: RoleUrls,
): Promise<{ adminKey: string | undefined }> {
  const db = openDatabase({ url: urls.api, poolSize: 2, applicationName: 'anneal-bootstrap' });
  try {
    const secrets = createFileSigningSecrets(join(config.stateDir, 'keys'));
    const { adminKey } = await createTenantStore(db).bootstrap({
      tenant: 'default',
      title: 'Default tenant',
      policies: policySeeds(),
      admin: {
        name: 'admin',
        roles: ['tenant-admin', 'platform-operator'],
        env: 'prod',
        pepper: await secrets.pepper(),
      },
    });
    // The approval key exists before the first worker looks for its public half.
    await secrets.approvalPrivateKey();
    if (adminKey !== undefined) await writeLocalKeys(config.stateDir, { admin: adminKey });
    return { adminKey };
  } finally {
    await db.close();
  }
}
