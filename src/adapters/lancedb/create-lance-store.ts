import { randomBytes } from 'node:crypto';
import { mkdir, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { GenerationSpec, SinkCaps, VectorStore } from '../../domain/etl/vector-sink.js';
import { PlatformError } from '../../domain/errors.js';
import { AddressBooks } from './address-book.js';
import { createGenerationFile, readGenerationFile } from './generation-file.js';
import { connectFolder, createTable } from './generation-table.js';
import { LanceSink, type LanceSinkOptions } from './lance-sink.js';
import { syncEntries, syncFolder } from './sync-folder.js';

/** Where the store is, and what differs from its defaults. */
export interface LanceStoreOptions extends Partial<LanceSinkOptions> {
  /** Folder of all generations; on a local disk of one host. */
  folder: string;
  /** Limits of one batch where they differ: 10,000 rows, 64 MiB. */
  limits?: Partial<Pick<SinkCaps, 'maxRows' | 'maxBytes' | 'maxMetadataBytes'>> | undefined;
}

const caps: SinkCaps = {
  replace: 'atomic',
  tx: 'own',
  writers: 'single',
  visibility: 'read-your-write',
  nativeBm25: true,
  alias: false,
  filter: 'pre',
  maxRows: 10_000,
  maxBytes: 64 * 1024 * 1024,
  maxMetadataBytes: 8192,
  maxDims: 4096,
  physicalErase: 'rewrite',
  verifiableErase: true,
};

const isMissing = (error: unknown) => (error as NodeJS.ErrnoException).code === 'ENOENT';

/** The folder of a generation. Ids become names of folders, so nothing else may. */
function folderOf(root: string, { tenant, generationId }: GenerationSpec): string {
  for (const id of [tenant, generationId])
    if (!/^[A-Za-z0-9_-]{1,128}$/.test(id))
      throw new PlatformError('SINK_REFUSED', `“${id}” cannot be the name of a folder.`);
  return join(root, tenant, generationId);
}

/** @throws SINK_REFUSED where the generation exists with another fingerprint or number of dimensions */
async function isThere(folder: string, generation: GenerationSpec): Promise<boolean> {
  const file = await readGenerationFile(folder);
  if (file === undefined) return false;
  if (file.embedFp === generation.embedFp && file.dims === generation.dims) return true;
  throw new PlatformError(
    'SINK_REFUSED',
    `Generation ${generation.generationId} exists with ${file.dims} dimensions and fingerprint ${file.embedFp}.`,
  );
}

async function ensureGeneration(root: string, generation: GenerationSpec): Promise<void> {
  if (generation.dims < 0 || generation.dims > caps.maxDims)
    throw new PlatformError('SINK_REFUSED', `The store takes up to ${caps.maxDims} dimensions.`);
  const folder = folderOf(root, generation);
  if (await isThere(folder, generation)) return;
  await mkdir(folder, { recursive: true });
  const connection = await connectFolder(folder);
  try {
    const { name } = await createTable(connection, generation.dims);
    // This table alone: whoever makes the generation at the same moment removes its own again.
    await syncFolder(join(folder, `${name}.lance`), new Set());
    const { embedFp, dims } = generation;
    if (!(await createGenerationFile(folder, { embedFp, dims, table: name, epoch: '0' }))) {
      await rm(join(folder, `${name}.lance`), { recursive: true, force: true });
      await isThere(folder, generation);
    }
    await Promise.all([dirname(folder), root].map(syncEntries));
  } finally {
    connection.close();
  }
}

/** Out of sight in one step, then removed. */
async function dropGeneration(root: string, generation: GenerationSpec): Promise<void> {
  const folder = folderOf(root, generation);
  const dropped = `${folder}.${randomBytes(6).toString('hex')}.dropped`;
  try {
    await rename(folder, dropped);
  } catch (error) {
    if (isMissing(error)) return;
    throw error;
  }
  await rm(dropped, { recursive: true, force: true });
  await syncEntries(dirname(folder));
}

/**
 * The embedded store: one folder per tenant and generation, read by any process of the host, written by the holder of
 * the generation's lease. A generation of 0 dimensions holds text alone: the lexical companion of another store.
 */
export function createLanceStore(options: LanceStoreOptions): VectorStore {
  const { folder, limits, ...rest } = options;
  const own = { ...caps, ...limits };
  const sinkOptions: LanceSinkOptions = {
    exactRows: rest.exactRows ?? 5_000,
    keepVersionsMs: rest.keepVersionsMs ?? 60_000,
    unindexedRows: rest.unindexedRows ?? 200,
    versions: rest.versions ?? 100,
  };
  const sinks = new Map<string, LanceSink>();
  const books = new AddressBooks();
  return {
    name: 'lancedb',
    caps: own,
    ensureGeneration: (generation) => ensureGeneration(folder, generation),
    sink: (generation) => {
      const place = { folder: folderOf(folder, generation), generation, books };
      const key = `${place.folder} ${generation.embedFp} ${generation.dims}`;
      const known = sinks.get(key);
      if (known !== undefined) return known;
      const made = new LanceSink(place, own, sinkOptions);
      sinks.set(key, made);
      return made;
    },
    dropGeneration: async (generation) => {
      const prefix = `${folderOf(folder, generation)} `;
      for (const [key, sink] of sinks)
        if (key.startsWith(prefix)) {
          sinks.delete(key);
          await sink.close();
        }
      await dropGeneration(folder, generation);
    },
    close: async () => {
      await Promise.all([...sinks.values()].map((sink) => sink.close()));
      sinks.clear();
    },
  };
}
