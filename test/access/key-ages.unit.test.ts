import { mkdtemp, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  createBackupKeys,
  createFileSigningSecrets,
} from '../../src/adapters/secrets/file-provider.js';
import { readKeyAges } from '../../src/adapters/secrets/key-ages.js';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'anneal-ages-'));
});
afterEach(() => rm(folder, { recursive: true }));

const now = Date.parse('2026-06-01T00:00:00Z');
const age = (path: string, seconds: number) => {
  const at = now / 1_000 - seconds;
  return utimes(join(folder, path), at, at);
};

test('every kind of key that rotates has an age, that of its newest version; what never rotates has none', async () => {
  const secrets = createFileSigningSecrets(folder);
  await secrets.pepper();
  await secrets.approvalPrivateKey();
  await createBackupKeys(folder)();
  for (const tenant of ['default', 'other']) {
    await secrets.fieldKey(tenant);
    await secrets.pseudonymKey(tenant);
    await secrets.documentIdKey(tenant);
    await age(`tenants/${tenant}/pseudonym-v1.key`, 900);
    await age(`tenants/${tenant}/document-id-v1.key`, 900);
  }
  await age('pepper-v1.key', 400);
  await writeFile(join(folder, 'pepper-v2.key'), '', { mode: 0o600 });
  await age('pepper-v2.key', 4);
  await age('approval-v1.private.pem', 300);
  await age('backup-v1.key', 200);
  await age('tenants/default/field-v1.key', 100);
  await age('tenants/other/field-v1.key', 150);
  const ages = await readKeyAges(folder, now);
  expect(Object.fromEntries(ages.map(({ key, seconds }) => [key, seconds]))).toEqual({
    approval: 300,
    backup: 200,
    field: 150,
    pepper: 4,
  });
});
