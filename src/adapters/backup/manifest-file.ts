import { hkdfSync } from 'node:crypto';
import { open, readdir, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { backupManifestSchema, type BackupManifest } from '../../domain/backup/contract.js';
import { canonicalJson, equalSecrets, hmac } from '../../domain/digest.js';

const NAME = 'manifest.json';

const macOf = (manifest: BackupManifest, key: Uint8Array): Buffer =>
  hmac(
    Buffer.from(hkdfSync('sha256', key, Buffer.alloc(0), 'anneal.backup.manifest.v1', 32)),
    canonicalJson(manifest),
  );

/** Writes the manifest with its MAC: the last file of a backup, on the disk when it resolves. */
export async function writeManifest(
  folder: string,
  manifest: BackupManifest,
  key: Uint8Array,
): Promise<void> {
  const path = join(folder, NAME);
  const file = await open(`${path}.part`, 'w', 0o600);
  try {
    const mac = macOf(manifest, key).toString('hex');
    await file.writeFile(`${JSON.stringify({ manifest, mac }, null, 2)}\n`);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(`${path}.part`, path);
}

/** The manifest as it stands there, whether or not it is ours. @throws with a sentence where there is none */
export async function readManifest(
  folder: string,
): Promise<{ manifest: BackupManifest; isAuthentic: (key: Uint8Array) => boolean }> {
  const text = await readFile(join(folder, NAME), 'utf8').catch(() => undefined);
  if (text === undefined)
    throw new Error(`${folder} has no ${NAME}: it is no backup, or one that was not finished`);
  let stored: { manifest?: unknown; mac?: unknown };
  try {
    stored = JSON.parse(text) as typeof stored;
  } catch {
    throw new Error(`${join(folder, NAME)} is not JSON`);
  }
  const parsed = backupManifestSchema.safeParse(stored.manifest);
  if (!parsed.success) throw new Error(`${join(folder, NAME)} is not the manifest of a backup`);
  const mac = Buffer.from(typeof stored.mac === 'string' ? stored.mac : '', 'hex');
  return {
    manifest: parsed.data,
    isAuthentic: (key) => equalSecrets(macOf(parsed.data, key), mac),
  };
}

/** Folders of finished backups in a backup folder, oldest first: their ids sort by time. */
export async function listBackups(folder: string): Promise<string[]> {
  const names = await readdir(folder).catch((): string[] => []);
  const found: string[] = [];
  for (const name of names.filter((each) => each.startsWith('bkp_')).sort()) {
    const isFinished = (await readdir(join(folder, name)).catch((): string[] => [])).includes(NAME);
    if (isFinished) found.push(join(folder, name));
  }
  return found;
}
