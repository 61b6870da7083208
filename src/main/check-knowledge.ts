import { randomUUID } from 'node:crypto';
import { constants } from 'node:fs';
import { access, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { openFolderStore } from '../adapters/artifacts/folder-store.js';
import { createParser } from '../adapters/parsing/create-parser.js';
import { startChild } from '../adapters/processes/start-child.js';
import type { Config } from '../config.js';
import { SYSTEM_TENANT } from '../domain/access/contract.js';
import { PlatformError } from '../domain/errors.js';
import type { SinkRow } from '../domain/etl/vector-sink.js';
import { createEmbedders, embedderOffers } from './embedders.js';
import { createOutbound } from './outbound.js';
import { createStores } from './stores.js';

// What `anneal doctor` tries of the knowledge side. Each function answers what it saw, or throws why not.

const DIMS = 8;
const VISIBLE_MS = 5_000;
const WORDS = 'durable workflows';
const MARKDOWN = '# Doctor\n\nA parser turns this into two blocks.\n';

/** The operator's line with the reason behind it: nobody else reads this report. */
export const reasonOf = (error: unknown): string => {
  if (!(error instanceof PlatformError) || error.internal === undefined)
    return error instanceof Error ? error.message : String(error);
  return `${error.message} ${error.internal.split('\n')[0] ?? ''}`.trim();
};

const probeRow = (): SinkRow => ({
  ...{ rowId: randomUUID(), docId: randomUUID(), text: WORDS, acl: ['group:doctor'] },
  vector: new Float32Array(DIMS).fill(1),
  ...{ accessHash: 'doctor', metadata: {} },
});

/** The configuration with one store alone: the others are other probes'. */
const withStoreOnly = (config: Config, name: string): Config => {
  const { pgvectorUrl, milvus } = config.etl.stores;
  const stores = {
    pgvectorUrl: name === 'pgvector' ? pgvectorUrl : undefined,
    milvus: name === 'milvus' ? milvus : undefined,
  };
  return { ...config, etl: { ...config.etl, stores } };
};

/** Writes a row into a generation of its own, reads it back and removes both. */
export async function checkStore(config: Config, name: string): Promise<string> {
  const stores = createStores(withStoreOnly(config, name));
  try {
    const store = stores.storeOf(name);
    const generation = {
      ...{ tenant: SYSTEM_TENANT, generationId: `doctor_${randomUUID().replaceAll('-', '')}` },
      ...{ embedFp: 'doctor', dims: DIMS },
    };
    await store.ensureGeneration(generation);
    try {
      const sink = store.sink(generation);
      const row = probeRow();
      const { token } = await sink.replaceRows({ adds: [row], deleteIds: [] });
      if (token !== undefined) await sink.awaitVisible(token, VISIBLE_MS);
      const [found] = await sink.fetch([row.rowId]);
      if (found?.text !== WORDS) throw new Error('a row that was written is not there');
    } finally {
      await store.dropGeneration(generation);
    }
    return 'a row was written, read back and removed';
  } finally {
    await stores.close();
  }
}

/** Embeds one text as a worker would. */
export async function checkEmbedder(
  config: Config,
  name: string,
  signal: AbortSignal,
): Promise<string> {
  const outbound = createOutbound(config);
  const artifacts = await openFolderStore({
    root: join(config.stateDir, 'artifacts'),
    nowMs: Date.now(),
  });
  const embedders = createEmbedders({ artifacts, config }, outbound.embedding);
  try {
    const offer = embedderOffers({ config }, outbound.embedding)(name);
    if (offer === undefined) throw new Error(`there is no embedder ${name}`);
    const embedder = await embedders.embedderOf(SYSTEM_TENANT, {
      ...offer,
      ...{ generationId: 'doctor', collectionId: 'doctor', sink: 'none', state: 'LIVE' },
      drifted: false,
    });
    const [vector] = await embedder.embed([WORDS], 'query', signal);
    const length = Math.hypot(...(vector ?? []));
    if (vector?.length !== offer.dims || !(length > 0 && Number.isFinite(length)))
      throw new Error(`a text became ${vector?.length ?? 0} numbers of length ${length}`);
    return `a text became ${offer.dims} dimensions`;
  } finally {
    await embedders.close();
    await outbound.close();
  }
}

/** Whether a folder can be listed; answers what is wrong with it. */
async function faultOf(folder: string): Promise<string | undefined> {
  try {
    if (!(await stat(folder)).isDirectory()) return `${folder} is no folder`;
    await access(folder, constants.R_OK | constants.X_OK);
    return undefined;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return `${folder} ${code === 'ENOENT' ? 'is not there' : `cannot be read (${code ?? reasonOf(error)})`}`;
  }
}

/** Looks into every folder that sources may lie in. */
export async function checkFolders(folders: readonly string[]): Promise<string> {
  const faults = (await Promise.all(folders.map(faultOf))).filter((fault) => fault !== undefined);
  if (faults.length > 0) throw new Error(faults.join('\n'));
  if (folders.length === 0) return 'ANNEAL_SOURCE_FOLDERS names none here; uploads need none';
  return folders.join(', ');
}

/** Starts a parsing child and has it parse a document. `entry` is another child, for tests of one that is broken. */
export async function checkParser(signal: AbortSignal, entry?: URL): Promise<string> {
  const parser = await createParser({ startChild, children: 1, entry });
  try {
    const content = { bytes: Buffer.from(MARKDOWN) };
    const [outcome] = await parser.parse([{ id: 'doctor', name: 'doctor.md', content }], signal);
    if (outcome === undefined || 'refused' in outcome)
      throw new Error(`the child parsed nothing: ${outcome?.refused.reason ?? 'no answer'}`);
    return `${outcome.result.parser} in its child process`;
  } finally {
    await parser.close();
  }
}
