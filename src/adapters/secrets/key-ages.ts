import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { KeyAge } from '../../domain/events/platform-health.js';

/** `pepper-v2.key`, `approval-v1.private.pem`: the kind and the version. */
const KEY_FILE = /^([a-z-]+)-v(\d+)\.(?:key|private\.pem)$/;

/** Others, `pseudonym` and `document-id`, never rotate: what they make of people and documents would change. */
const rotating = new Set(['pepper', 'approval', 'field', 'backup']);

/** The time of the newest version of each kind of key in one folder, in milliseconds since the epoch. */
async function newestOf(folder: string): Promise<Map<string, number>> {
  const newest = new Map<string, { version: number; atMs: number }>();
  for (const file of await readdir(folder).catch(() => [])) {
    const [, kind, digits] = KEY_FILE.exec(file) ?? [];
    if (kind === undefined || !rotating.has(kind)) continue;
    const version = Number(digits);
    if (version <= (newest.get(kind)?.version ?? 0)) continue;
    newest.set(kind, { version, atMs: (await stat(join(folder, file))).mtimeMs });
  }
  return new Map([...newest].map(([kind, { atMs }]) => [kind, atMs]));
}

/**
 * How old the keys of an installation that rotate are: since the newest version of each kind was made, and for tenants' keys of the
 * tenant whose turn is longest ago.
 */
export async function readKeyAges(keyFolder: string, nowMs: number): Promise<KeyAge[]> {
  const oldest = await newestOf(keyFolder);
  const tenants = join(keyFolder, 'tenants');
  for (const tenant of await readdir(tenants).catch(() => []))
    for (const [kind, atMs] of await newestOf(join(tenants, tenant)))
      oldest.set(kind, Math.min(atMs, oldest.get(kind) ?? Infinity));
  return [...oldest].map(([key, atMs]) => ({ key, seconds: Math.max(0, nowMs - atMs) / 1_000 }));
}
