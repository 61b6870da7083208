import { createPrivateKey, createPublicKey, generateKeyPairSync, randomBytes } from 'node:crypto';
import { link, mkdir, open, readdir, readFile, stat, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { PlatformError } from '../../domain/errors.js';
import { tenantIdSchema } from '../../domain/ids.js';
import {
  Secret,
  type KeyVersion,
  type Secrets,
  type SigningSecrets,
} from '../../domain/secrets.js';

const KEY_BYTES = 32;
/** How long a process may go on writing with a key after a newer version has appeared. */
const NEWEST_TTL_MS = 60_000;

const refused = (internal: string): PlatformError =>
  new PlatformError('INTERNAL', 'A key cannot be read.', { internal });

const codeOf = (error: unknown): unknown => (error as { code?: unknown }).code;

/**
 * Puts a file in place whole or not at all, mode 0600. Of several processes one wins; all read what the winner wrote.
 * @returns false where the file was there already
 */
async function createOnce(path: string, content: string): Promise<boolean> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const draft = `${path}.${randomBytes(8).toString('hex')}.tmp`;
  const file = await open(draft, 'wx', 0o600);
  try {
    await file.writeFile(content);
    await file.sync();
  } finally {
    await file.close();
  }
  try {
    await link(draft, path);
    return true;
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false;
    throw error;
  } finally {
    await unlink(draft);
  }
}

/** Reads a key file; undefined where there is none. A file that others can read is refused. */
async function readKeyFile(path: string): Promise<string | undefined> {
  try {
    const { mode } = await stat(path);
    if ((mode & 0o077) !== 0) {
      throw refused(`${path} can be read by others; chmod 600 it`);
    }
    return await readFile(path, 'utf8');
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/** The newest version among `<name>-v<n><suffix>` in a folder; 0 where there is none. */
async function newestVersion(folder: string, name: string, suffix: string): Promise<number> {
  let files: string[];
  try {
    files = await readdir(folder);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return 0;
    throw error;
  }
  const versions = files.map((file) =>
    file.startsWith(`${name}-v`) && file.endsWith(suffix)
      ? Number(file.slice(name.length + 2, -suffix.length))
      : 0,
  );
  return Math.max(0, ...versions.filter(Number.isSafeInteger));
}

/** Remembers answers; a failed one is asked again. */
function createCache<T>(ttlMs: number) {
  const held = new Map<string, { value: Promise<T>; until: number }>();
  return (key: string, load: () => Promise<T>): Promise<T> => {
    const known = held.get(key);
    const now = performance.now();
    if (known !== undefined && known.until > now) return known.value;
    const value = load();
    held.set(key, { value, until: now + ttlMs });
    value.catch(() => held.delete(key));
    return value;
  };
}

/** Symmetric keys of one folder, 32 random bytes each in hex, versioned by file name. */
function symmetricKeys() {
  const versions = createCache<KeyVersion>(Infinity);
  const newest = createCache<number>(NEWEST_TTL_MS);
  const read = async (folder: string, name: string, version: number): Promise<KeyVersion> => {
    const text = await readKeyFile(join(folder, `${name}-v${version}.key`));
    const bytes = Buffer.from(text?.trim() ?? '', 'hex');
    if (bytes.length !== KEY_BYTES) throw refused(`${folder}/${name}-v${version}.key has no key`);
    return { version, key: new Secret(bytes) };
  };
  const currentVersion = async (folder: string, name: string): Promise<number> => {
    const found = await newestVersion(folder, name, '.key');
    if (found > 0) return found;
    await createOnce(join(folder, `${name}-v1.key`), `${randomBytes(KEY_BYTES).toString('hex')}\n`);
    return 1;
  };
  return async (folder: string, name: string, version?: number): Promise<KeyVersion> => {
    // Asked for each sealed value: a template costs a tenth of `join`.
    const path = `${folder}/${name}`;
    const wanted = version ?? (await newest(path, () => currentVersion(folder, name)));
    return versions(`${path}-v${wanted}`, () => read(folder, name, wanted));
  };
}

/** The key that backups are sealed with; the newest version unless one is named. Kept apart from the backups. */
export function createBackupKeys(folder: string): (version?: number) => Promise<KeyVersion> {
  const keys = symmetricKeys();
  return (version) => keys(folder, 'backup', version);
}

/** Every version of the key that backups are sealed with, in order; none is made. */
export async function readBackupKeys(folder: string): Promise<KeyVersion[]> {
  const keys = symmetricKeys();
  const newest = await newestVersion(folder, 'backup', '.key');
  const found: KeyVersion[] = [];
  for (let version = 1; version <= newest; version++) {
    const isThere = (await readKeyFile(join(folder, `backup-v${version}.key`))) !== undefined;
    if (isThere) found.push(await keys(folder, 'backup', version));
  }
  return found;
}

const approvalKeyId = /^approval-v[1-9]\d{0,5}$/;

/**
 * Keys in a folder (0700) of files (0600), each made on first use; processes that begin together agree on one key.
 * For development and mounted files. This form holds no private approval key: workers get it.
 * @param folder such as `.anneal/keys`
 */
export function createFileSecrets(folder: string): Secrets {
  const keys = symmetricKeys();
  const publicKeys = createCache<string>(Infinity);
  const folders = new Map<string, string>();
  const ofTenant = (tenant: string): string => {
    const known = folders.get(tenant);
    if (known !== undefined) return known;
    const id = tenantIdSchema.safeParse(tenant);
    if (!id.success) throw refused('not a tenant id');
    const path = join(folder, 'tenants', id.data);
    folders.set(tenant, path);
    return path;
  };
  return {
    pepper: (version) => keys(folder, 'pepper', version),
    pseudonymKey: async (tenant, version) => keys(ofTenant(tenant), 'pseudonym', version),
    fieldKey: async (tenant, version) => keys(ofTenant(tenant), 'field', version),
    documentIdKey: async (tenant) => {
      const folder = ofTenant(tenant);
      await keys(folder, 'document-id');
      return (await keys(folder, 'document-id', 1)).key;
    },
    approvalPublicKey: async (keyId) => {
      if (!approvalKeyId.test(keyId)) throw refused('not an approval key id');
      return publicKeys(keyId, async () => {
        const pem = await readKeyFile(join(folder, `${keyId}.public.pem`));
        if (pem === undefined) throw refused(`${folder}/${keyId}.public.pem is missing`);
        return pem;
      });
    },
  };
}

/** {@link createFileSecrets} with the private approval key: for the API alone. */
export function createFileSigningSecrets(folder: string): SigningSecrets {
  const privateKeys = createCache<{ keyId: string; key: Secret }>(NEWEST_TTL_MS);
  const load = async (): Promise<{ keyId: string; key: Secret }> => {
    const version = Math.max(1, await newestVersion(folder, 'approval', '.private.pem'));
    const keyId = `approval-v${version}`;
    const path = join(folder, `${keyId}.private.pem`);
    let pem = await readKeyFile(path);
    if (pem === undefined) {
      const pair = generateKeyPairSync('ed25519');
      await createOnce(path, pair.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString());
      pem = (await readKeyFile(path)) ?? '';
    }
    // Also after a crash between the two files: the public half always follows from the private one.
    const publicPem = createPublicKey(createPrivateKey(pem)).export({
      type: 'spki',
      format: 'pem',
    });
    await createOnce(join(folder, `${keyId}.public.pem`), publicPem.toString());
    return { keyId, key: new Secret(Buffer.from(pem)) };
  };
  return {
    ...createFileSecrets(folder),
    approvalPrivateKey: () => privateKeys('newest', load),
  };
}
