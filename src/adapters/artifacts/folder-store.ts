import { createHash, randomUUID } from 'node:crypto';
import { mkdir, open, readdir, rename, rm, stat, unlink } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import type {
  ArtifactBody,
  ArtifactStore,
  StagedArtifact,
  StoredArtifact,
} from '../../domain/artifacts.js';
import { isUploadScope } from '../../domain/artifacts.js';
import { PlatformError } from '../../domain/errors.js';
import type { Digest } from '../../domain/ids.js';
import { finalKey, parseRef, scopePath, stagedKey } from './folder-keys.js';

const CHUNK_BYTES = 256 * 1024;
const TEMPORARY = '.incoming';
const ABANDONED_MS = 24 * 60 * 60 * 1000;

/** The system's error code, such as `ENOENT`; empty for other failures. */
const codeOf = (error: unknown): string => {
  const code: unknown =
    typeof error === 'object' && error !== null && 'code' in error ? error.code : '';
  return typeof code === 'string' ? code : '';
};

/** Operating-system failures become `STORE_UNAVAILABLE`; a missing file is the caller's to name. */
async function guarded<T>(action: () => Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (error) {
    const code = codeOf(error);
    if (!/^(ENOSPC|EDQUOT|EROFS|EACCES|EPERM|EIO|EMFILE|ENFILE|EBUSY)$/.test(code)) throw error;
    throw new PlatformError('STORE_UNAVAILABLE', 'The artifact store cannot be used just now.', {
      internal: `${code}: ${error instanceof Error ? error.message : ''}`,
    });
  }
}

const missing = (ref: string): PlatformError =>
  new PlatformError('ARTIFACT_CORRUPT', 'The artifact is missing.', { internal: ref });
const differs = (ref: string): PlatformError =>
  new PlatformError('ARTIFACT_CORRUPT', 'The bytes of the artifact do not match its digest.', {
    internal: ref,
  });

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

async function write(file: FileHandle, input: ArtifactBody): Promise<[string, number]> {
  const hash = createHash('sha256');
  let sizeBytes = 0;
  for await (const chunk of input.body) {
    input.signal?.throwIfAborted();
    sizeBytes += chunk.byteLength;
    if (input.maxBytes !== undefined && sizeBytes > input.maxBytes)
      throw new PlatformError(
        'PAYLOAD_TOO_LARGE',
        `The content is larger than ${input.maxBytes} bytes.`,
        { extensions: { limitBytes: input.maxBytes } },
      );
    hash.update(chunk);
    await file.writeFile(chunk);
  }
  await file.sync();
  return [hash.digest('hex'), sizeBytes];
}

async function moveTo(from: string, target: string): Promise<void> {
  const created = await mkdir(dirname(target), { recursive: true, mode: 0o700 });
  // Renaming also over an equal file repairs one whose bytes have decayed.
  await rename(from, target);
  await syncFolder(dirname(target));
  // A folder made for this file is as durable as its own entry in its parent.
  if (created !== undefined) await syncFolder(dirname(created));
}

/** Moves a staged file to the path that its digest gives. One that was moved before is there already. */
async function keep(
  root: string,
  staged: { tenantId: string; ref: string; sha256: Digest },
): Promise<string> {
  const { ref, path } = finalKey(staged.tenantId, staged.sha256.slice('sha256:'.length));
  const target = join(root, path);
  try {
    await moveTo(join(root, parseRef(staged.ref).path), target);
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error;
    if ((await stat(target).catch(() => undefined)) === undefined) throw missing(staged.ref);
  }
  return ref;
}

/** Streams a body into a temporary file, then moves it to the path that its digest or name gives. */
async function store(
  root: string,
  input: ArtifactBody,
  keyOf: (hex: string) => { ref: string; path: string },
): Promise<StoredArtifact> {
  const temporary = join(root, TEMPORARY, randomUUID());
  await mkdir(dirname(temporary), { recursive: true, mode: 0o700 });
  const file = await open(temporary, 'wx', 0o600);
  try {
    const [hex, sizeBytes] = await write(file, input).finally(() => file.close());
    const { ref, path } = keyOf(hex);
    await moveTo(temporary, join(root, path));
    return { ref, sha256: `sha256:${hex}`, sizeBytes };
  } catch (error) {
    await unlink(temporary).catch(() => undefined);
    throw error;
  }
}

async function* chunksOf(path: string, ref: string): AsyncGenerator<Uint8Array> {
  const file = await open(path, 'r').catch((error: unknown) => {
    throw codeOf(error) === 'ENOENT' ? missing(ref) : error;
  });
  try {
    for (;;) {
      const { bytesRead, buffer } = await file.read(Buffer.alloc(CHUNK_BYTES), 0, CHUNK_BYTES);
      if (bytesRead === 0) return;
      yield buffer.subarray(0, bytesRead);
    }
  } finally {
    await file.close();
  }
}

async function* verified(
  chunks: AsyncIterable<Uint8Array>,
  expected: { ref: string; hex: string },
): AsyncGenerator<Uint8Array> {
  const hash = createHash('sha256');
  for await (const chunk of chunks) {
    hash.update(chunk);
    yield chunk;
  }
  if (hash.digest('hex') !== expected.hex) throw differs(expected.ref);
}

async function listFolder(folder: string): Promise<string[]> {
  return readdir(folder).catch((error: unknown) => {
    if (/^(ENOENT|ENOTDIR)$/.test(codeOf(error))) return [];
    throw error;
  });
}

/** Whether nobody has written to a path since `beforeMs`. One that is gone needs no removal. */
async function isUntouched(path: string, beforeMs: number): Promise<boolean> {
  const found = await stat(path).catch(() => undefined);
  return found !== undefined && found.mtimeMs < beforeMs;
}

/** Removes temporary files that a crash left behind a day or more ago. */
async function sweepTemporary(root: string, nowMs: number): Promise<number> {
  let gone = 0;
  for (const name of await listFolder(join(root, TEMPORARY))) {
    const path = join(root, TEMPORARY, name);
    if (!(await isUntouched(path, nowMs - ABANDONED_MS))) continue;
    await unlink(path).catch(() => undefined);
    gone += 1;
  }
  return gone;
}

/** Removes staging areas of uploads that were last written to before `beforeMs`. */
async function sweepUploads(root: string, beforeMs: number): Promise<number> {
  let gone = 0;
  for (const tenant of await listFolder(root)) {
    const staged = join(root, tenant, 'staged');
    for (const scope of (await listFolder(staged)).filter(isUploadScope)) {
      // A folder's time is that of the last file that came into it, and files come into it whole.
      if (!(await isUntouched(join(staged, scope), beforeMs))) continue;
      await rm(join(staged, scope), { recursive: true, force: true });
      gone += 1;
    }
  }
  return gone;
}

/**
 * Artifact store in a local folder: `<root>/<tenant>/sha256/<2 hex>/<64 hex>` and `<root>/<tenant>/staged/<scope>/`.
 * Bytes are written to a temporary file, synced, and renamed, so a crash leaves either nothing or all of them; what
 * a crash leaves in the temporary folder is removed a day later, when a store opens or is swept.
 */
export async function openFolderStore(options: {
  root: string;
  nowMs: number;
}): Promise<ArtifactStore> {
  const root = resolve(options.root);
  await guarded(async () => {
    await mkdir(join(root, TEMPORARY), { recursive: true, mode: 0o700 });
    await sweepTemporary(root, options.nowMs);
  });
  const sizeOf = async (path: string): Promise<number | undefined> => {
    const found = await stat(join(root, path)).catch((error: unknown) => {
      if (codeOf(error) === 'ENOENT') return undefined;
      throw error;
    });
    return found?.size;
  };
  const openStream: ArtifactStore['openStream'] = (ref, how) => {
    const { path, hex } = parseRef(ref);
    const chunks = chunksOf(join(root, path), ref);
    return how?.verify === true && hex !== undefined ? verified(chunks, { ref, hex }) : chunks;
  };
  const findStaged: ArtifactStore['findStaged'] = async (name) => {
    const { ref, path } = stagedKey(name);
    const sizeBytes = await guarded(() => sizeOf(path));
    return sizeBytes === undefined ? undefined : { ref, name: name.name, sizeBytes };
  };
  return {
    put: (input) => guarded(() => store(root, input, (hex) => finalKey(input.tenantId, hex))),
    putStaged: (input) => guarded(() => store(root, input, () => stagedKey(input))),
    keepStaged: (staged) => guarded(() => keep(root, staged)),
    openStream,
    readRange: (ref, start, end) =>
      guarded(() => readRange(join(root, parseRef(ref).path), start, end)),
    async getPath(ref, how) {
      const { path, hex } = parseRef(ref);
      if ((await guarded(() => sizeOf(path))) === undefined) throw missing(ref);
      if (how?.verify === true && hex !== undefined) {
        for await (const chunk of openStream(ref, how)) void chunk;
      }
      return join(root, path);
    },
    async stat(ref) {
      const { path, hex } = parseRef(ref);
      const sizeBytes = await guarded(() => sizeOf(path));
      if (sizeBytes === undefined) return undefined;
      return { sizeBytes, ...(hex === undefined ? {} : { sha256: `sha256:${hex}` }) };
    },
    delete: (ref) => guarded(() => rm(join(root, parseRef(ref).path), { force: true })),
    findStaged,
    async listStaged(tenantId, scope) {
      const names = await guarded(() => listFolder(join(root, scopePath(tenantId, scope))));
      const found = await Promise.all(
        names.sort().map((name) => findStaged({ tenantId, scope, name })),
      );
      return found.filter((one): one is StagedArtifact => one !== undefined);
    },
    dropStaged: (tenantId, scope) =>
      guarded(() => rm(join(root, scopePath(tenantId, scope)), { recursive: true, force: true })),
    sweep: ({ nowMs, uploadMs }) =>
      guarded(
        async () =>
          (await sweepTemporary(root, nowMs)) + (await sweepUploads(root, nowMs - uploadMs)),
      ),
  };
}

async function readRange(path: string, start: number, end: number): Promise<Uint8Array> {
  const file = await open(path, 'r').catch((error: unknown) => {
    throw codeOf(error) === 'ENOENT' ? missing(path) : error;
  });
  try {
    const buffer = new Uint8Array(Math.max(0, end - start));
    let filled = 0;
    while (filled < buffer.length) {
      const { bytesRead } = await file.read(buffer, filled, buffer.length - filled, start + filled);
      if (bytesRead === 0) break;
      filled += bytesRead;
    }
    return buffer.subarray(0, filled);
  } finally {
    await file.close();
  }
}
