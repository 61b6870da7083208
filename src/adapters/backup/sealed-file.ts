import { createCipheriv, createDecipheriv, createHash, hkdfSync, randomBytes } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, open, rename, rm, type FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';

// A sealed file: magic, nonce, ciphertext, tag. AES-256-GCM under a key that is derived for backups alone; the name that
// the file has in the backup is authenticated with it, so that two files cannot be exchanged.

const MAGIC = Buffer.from('ANB1');
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const HEAD_BYTES = MAGIC.length + NONCE_BYTES;
const CHUNK_BYTES = 1024 * 1024;

/** The key that files are sealed with, from the installation's key. */
export const fileKeyOf = (key: Uint8Array): Buffer =>
  Buffer.from(hkdfSync('sha256', key, Buffer.alloc(0), 'anneal.backup.files.v1', 32));

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
  key: Uint8Array;
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
  const cipher = createCipheriv('aes-256-gcm', seal.key, nonce);
  cipher.setAAD(Buffer.from(seal.name));
  const hash = createHash('sha256');
  let [bytes, plainBytes] = [0, 0];
  return writeWhole(to, seal.isDurable ?? true, async (file) => {
    const put = async (part: Uint8Array): Promise<void> => {
      hash.update(part);
      bytes += part.byteLength;
      await file.write(part);
    };
    await put(Buffer.concat([MAGIC, nonce]));
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

/**
 * Decrypts a sealed file to `to`, whole or not at all.
 * @throws where a byte of it, its name or its key is another
 */
export async function openSealedFile(from: string, to: string, seal: Seal): Promise<void> {
  const sealed = await open(from, 'r');
  try {
    const { size } = await sealed.stat();
    const head = Buffer.alloc(HEAD_BYTES);
    const tag = Buffer.alloc(TAG_BYTES);
    await sealed.read(head, 0, HEAD_BYTES, 0);
    await sealed.read(tag, 0, TAG_BYTES, Math.max(0, size - TAG_BYTES));
    if (size < HEAD_BYTES + TAG_BYTES || !head.subarray(0, MAGIC.length).equals(MAGIC))
      throw new Error(`${from} is no sealed file`);
    const decipher = createDecipheriv('aes-256-gcm', seal.key, head.subarray(MAGIC.length));
    decipher.setAAD(Buffer.from(seal.name));
    decipher.setAuthTag(tag);
    await writeWhole(to, seal.isDurable ?? true, async (file) => {
      const end = size - TAG_BYTES;
      const chunk = Buffer.alloc(CHUNK_BYTES);
      for (let at = HEAD_BYTES; at < end;) {
        const { bytesRead } = await sealed.read(chunk, 0, Math.min(CHUNK_BYTES, end - at), at);
        if (bytesRead === 0) throw new Error(`${from} ends early`);
        at += bytesRead;
        await file.write(decipher.update(chunk.subarray(0, bytesRead)));
      }
      try {
        await file.write(decipher.final());
      } catch (error) {
        throw new Error(`${from} was changed, or sealed with another key`, { cause: error });
      }
    });
  } finally {
    await sealed.close();
  }
}
