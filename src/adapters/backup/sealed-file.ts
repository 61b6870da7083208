import { createCipheriv, createDecipheriv, createHash, hkdfSync, randomBytes } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, open, rename, rm, type FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';

// A sealed file: magic, version of the key, nonce, ciphertext, tag. AES-256-GCM under a key that is derived for backups
// alone; magic, version and the name that the file has in the backup are authenticated with it, so that two files cannot be
// exchanged. Files of the first format name no version: each key that is there is tried.

const FORMAT = 'ANB2';
const FIRST_FORMAT = 'ANB1';
const MAGIC_BYTES = 4;
const VERSION_BYTES = 4;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const CHUNK_BYTES = 1024 * 1024;

/** The key that files are sealed with, from the installation's key. */
export const fileKeyOf = (key: Uint8Array): Buffer =>
  Buffer.from(hkdfSync('sha256', key, Buffer.alloc(0), 'anneal.backup.files.v1', 32));

/** A key that files are sealed with, and its version. */
export interface FileKey {
  version: number;
  key: Uint8Array;
}

/** The keys that sealed files open with, by version. */
export type FileKeys = ReadonlyMap<number, Uint8Array>;

/** A file that was sealed: its stored size and digest, and how many bytes it is of. */
interface SealedFile {
  sha256: string;
  bytes: number;
  plainBytes: number;
}

const isMissing = (error: unknown): boolean => (error as { code?: unknown }).code === 'ENOENT';

/** Writes through a file of another name, which takes its place when it is whole, and on the disk where asked. */
async function writeWhole<T>(
  path: string,
  isDurable: boolean,
  write: (file: FileHandle) => Promise<T>,
): Promise<T> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const draft = `${path}.part`;
  const file = await open(draft, 'w', 0o600);
  try {
    const result = await write(file);
    if (isDurable) await file.sync();
    await file.close();
    await rename(draft, path);
    return result;
  } catch (error) {
    await file.close().catch(() => undefined);
    await rm(draft, { force: true });
    throw error;
  }
}

/** What a file is sealed with: the key, and the name that it has in the backup. */
interface Seal {
  key: FileKey;
  name: string;
  /** On the disk when it resolves; true unless named. */
  isDurable?: boolean;
}

/** The bytes of a source; undefined where there is none. A failure while reading reaches whoever reads. */
async function openSource(
  from: string | Uint8Array,
): Promise<AsyncIterable<Uint8Array> | Uint8Array[] | undefined> {
  if (typeof from !== 'string') return [from];
  try {
    const file = await open(from, 'r');
    return file.createReadStream({ highWaterMark: CHUNK_BYTES }) as AsyncIterable<Uint8Array>;
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

/** Brings what was written without it to the disk. */
export async function syncFile(path: string): Promise<void> {
  const file = await open(path, 'r');
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}

/** What stands before the nonce. */
function prefixOf(version: number): Buffer {
  const prefix = Buffer.alloc(MAGIC_BYTES + VERSION_BYTES);
  prefix.write(FORMAT);
  prefix.writeUInt32BE(version, MAGIC_BYTES);
  return prefix;
}

/**
 * Encrypts a file, or bytes, to `to`. A source that another program changes meanwhile is taken as it is read.
 * @returns undefined where the source is not there (any more)
 */
export async function sealFile(
  from: string | Uint8Array,
  to: string,
  seal: Seal,
): Promise<SealedFile | undefined> {
  const source = await openSource(from);
  if (source === undefined) return undefined;
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv('aes-256-gcm', seal.key.key, nonce);
  const prefix = prefixOf(seal.key.version);
  cipher.setAAD(Buffer.concat([prefix, Buffer.from(seal.name)]));
  const hash = createHash('sha256');
  let [bytes, plainBytes] = [0, 0];
  return writeWhole(to, seal.isDurable ?? true, async (file) => {
    const put = async (part: Uint8Array): Promise<void> => {
      hash.update(part);
      bytes += part.byteLength;
      await file.write(part);
    };
    await put(Buffer.concat([prefix, nonce]));
    for await (const chunk of source) {
      plainBytes += chunk.byteLength;
      await put(cipher.update(chunk));
    }
    await put(Buffer.concat([cipher.final(), cipher.getAuthTag()]));
    return { sha256: hash.digest('hex'), bytes, plainBytes };
  });
}

/** SHA-256 and size of a stored file; undefined where it is not there. */
export async function digestFile(
  path: string,
): Promise<{ sha256: string; bytes: number } | undefined> {
  const hash = createHash('sha256');
  let bytes = 0;
  try {
    for await (const chunk of createReadStream(path, { highWaterMark: CHUNK_BYTES })) {
      hash.update(chunk as Buffer);
      bytes += (chunk as Buffer).byteLength;
    }
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
  return { sha256: hash.digest('hex'), bytes };
}

/** Why a sealed file does not open. */
export class SealedFileError extends Error {
  /** The reason alone, without the path. */
  readonly detail: string;
  constructor(path: string, detail: string, options?: ErrorOptions) {
    super(`${path} ${detail}`, options);
    this.detail = detail;
  }
}

/** The tag is not that of these bytes under this key and name. */
class NotAuthentic extends SealedFileError {}

/** What a sealed file says before its content. */
interface Head {
  /** What is authenticated before the name; empty in the first format. */
  prefix: Buffer;
  nonce: Buffer;
  /** Keys that it may be sealed with. */
  keys: Uint8Array[];
}

/** What a sealed file opens with: the keys, and the name that it has in the backup. */
interface Opening {
  keys: FileKeys;
  name: string;
  /** On the disk when it resolves; true unless named. */
  isDurable?: boolean;
}

async function readHead(sealed: FileHandle, from: string, keys: FileKeys): Promise<Head> {
  const { size } = await sealed.stat();
  const bytes = Buffer.alloc(MAGIC_BYTES + VERSION_BYTES + NONCE_BYTES);
  const { bytesRead } = await sealed.read(bytes, 0, bytes.length, 0);
  const format = bytes.toString('latin1', 0, MAGIC_BYTES);
  const prefixBytes = format === FIRST_FORMAT ? MAGIC_BYTES : MAGIC_BYTES + VERSION_BYTES;
  const isWhole = bytesRead === bytes.length && size >= prefixBytes + NONCE_BYTES + TAG_BYTES;
  if (!isWhole || !/^ANB\d$/.test(format)) throw new SealedFileError(from, 'is no sealed file');
  const nonce = bytes.subarray(prefixBytes, prefixBytes + NONCE_BYTES);
  if (format === FIRST_FORMAT) return { prefix: Buffer.alloc(0), nonce, keys: [...keys.values()] };
  if (format !== FORMAT)
    throw new SealedFileError(from, `has the format ${format}, which this build does not know`);
  const version = bytes.readUInt32BE(MAGIC_BYTES);
  const key = keys.get(version);
  if (key === undefined)
    throw new SealedFileError(
      from,
      `is sealed with version ${version} of the backup key: put backup-v${version}.key among the keys`,
    );
  return { prefix: bytes.subarray(0, prefixBytes), nonce, keys: [key] };
}

/** The content, piece by piece; only its end says whether it is authentic. */
async function* contentOf(
  sealed: FileHandle,
  head: Head & { key: Uint8Array },
  { path, name }: { path: string; name: string },
): AsyncGenerator<Uint8Array> {
  const end = (await sealed.stat()).size - TAG_BYTES;
  const tag = Buffer.alloc(TAG_BYTES);
  await sealed.read(tag, 0, TAG_BYTES, end);
  const decipher = createDecipheriv('aes-256-gcm', head.key, head.nonce);
  decipher.setAAD(Buffer.concat([head.prefix, Buffer.from(name)]));
  decipher.setAuthTag(tag);
  const chunk = Buffer.alloc(CHUNK_BYTES);
  const start = (head.prefix.length || MAGIC_BYTES) + NONCE_BYTES;
  for (let at = start; at < end;) {
    const { bytesRead } = await sealed.read(chunk, 0, Math.min(CHUNK_BYTES, end - at), at);
    if (bytesRead === 0) throw new SealedFileError(path, 'ends early');
    at += bytesRead;
    yield decipher.update(chunk.subarray(0, bytesRead));
  }
  try {
    yield decipher.final();
  } catch (cause) {
    throw new NotAuthentic(path, 'was changed, or sealed with another key', { cause });
  }
}

/** Hands the content to `take`, which must not act on it before its end; under each key that it may be sealed with. */
async function opened(
  from: string,
  { keys, name }: Opening,
  take: (content: AsyncIterable<Uint8Array>) => Promise<void>,
): Promise<void> {
  const sealed = await open(from, 'r');
  try {
    const head = await readHead(sealed, from, keys);
    let refused: unknown = new SealedFileError(from, 'is sealed with a backup key that is missing');
    for (const key of head.keys) {
      try {
        return await take(contentOf(sealed, { ...head, key }, { path: from, name }));
      } catch (error) {
        if (!(error instanceof NotAuthentic)) throw error;
        refused = error;
      }
    }
    throw refused;
  } finally {
    await sealed.close();
  }
}

/**
 * Decrypts a sealed file to `to`, whole or not at all.
 * @throws {SealedFileError} where a byte of it, its name or its key is another, or the key is not there
 */
export const openSealedFile = (from: string, to: string, opening: Opening): Promise<void> =>
  opened(from, opening, (content) =>
    writeWhole(to, opening.isDurable ?? true, async (file) => {
      for await (const chunk of content) await file.write(chunk);
    }),
  );

/** {@link openSealedFile} that keeps nothing: proves that the file would open. */
export const checkSealedFile = (from: string, opening: Opening): Promise<void> =>
  opened(from, opening, async (content) => {
    for await (const chunk of content) void chunk;
  });

/** {@link openSealedFile} into memory: for small files. */
export async function readSealedFile(from: string, opening: Opening): Promise<Buffer> {
  let whole = Buffer.alloc(0);
  await opened(from, opening, async (content) => {
    const parts: Uint8Array[] = [];
    for await (const part of content) parts.push(part);
    whole = Buffer.concat(parts);
  });
  return whole;
}
