import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { childEnv } from '../../src/config.js';

// Only this folder has these packages, so that nobody else installs them: they are described here as far as they are used.

const folder = fileURLToPath(new URL('.', import.meta.url));
const stamp = join(folder, 'node_modules', '.installed');

/** Runs `npm ci` in this folder unless what is installed is what the lock says. */
export function installForeign(say: (line: string) => void): void {
  const lock = readFileSync(join(folder, 'package-lock.json'));
  const wanted = createHash('sha256').update(lock).digest('hex');
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return;
  say('installing what is compared (npm ci in bench/etl)');
  execFileSync('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund'], {
    cwd: folder,
    env: childEnv(),
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  writeFileSync(stamp, wanted);
}

/** Versions of what is compared, as this folder pins them. */
export function foreignVersions(): Record<string, string> {
  const manifest = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as {
    dependencies: Record<string, string>;
  };
  return manifest.dependencies;
}

const load = async <T>(specifier: string): Promise<T> => (await import(specifier)) as T;

interface LangchainDocument {
  pageContent: string;
  metadata: Record<string, unknown>;
}

/** What `index()` asks of a record manager. */
export interface RecordManager {
  createSchema: () => Promise<void>;
  getTime: () => Promise<number>;
  update: (
    keys: string[],
    options?: { groupIds?: (string | null)[]; timeAtLeast?: number },
  ) => Promise<void>;
  exists: (keys: string[]) => Promise<boolean[]>;
  listKeys: (options?: { before?: number; limit?: number }) => Promise<string[]>;
  deleteKeys: (keys: string[]) => Promise<void>;
}

interface LangchainEmbeddings {
  caller: { call: <T>(work: () => Promise<T>) => Promise<T> };
  embedDocuments: (texts: string[]) => Promise<Float32Array[]>;
  embedQuery: (text: string) => Promise<Float32Array>;
}

/** LangChain.js as far as it is used. */
export interface Langchain {
  Document: new (fields: LangchainDocument) => LangchainDocument;
  Embeddings: abstract new (params: object) => Pick<LangchainEmbeddings, 'caller'>;
  VectorStore: abstract new (
    embeddings: LangchainEmbeddings,
    config: object,
  ) => { embeddings: LangchainEmbeddings };
  index: (of: {
    docsSource: LangchainDocument[];
    recordManager: RecordManager;
    vectorStore: object;
    options: { cleanup: 'full'; batchSize: number; forceUpdate?: boolean };
  }) => Promise<unknown>;
  RecursiveCharacterTextSplitter: new (sizes: { chunkSize: number; chunkOverlap: number }) => {
    splitDocuments: (documents: LangchainDocument[]) => Promise<LangchainDocument[]>;
  };
}

export async function loadLangchain(): Promise<Langchain> {
  const [documents, embeddings, stores, indexing, splitters] = await Promise.all([
    load<Pick<Langchain, 'Document'>>('@langchain/core/documents'),
    load<Pick<Langchain, 'Embeddings'>>('@langchain/core/embeddings'),
    load<Pick<Langchain, 'VectorStore'>>('@langchain/core/vectorstores'),
    load<Pick<Langchain, 'index'>>('@langchain/core/indexing'),
    load<Pick<Langchain, 'RecursiveCharacterTextSplitter'>>('@langchain/textsplitters'),
  ]);
  return { ...documents, ...embeddings, ...stores, ...indexing, ...splitters };
}

interface LlamaDocument {
  id_: string;
  text: string;
  metadata: Record<string, unknown>;
}

/** A chunk of LlamaIndex.TS. */
export interface LlamaNode extends LlamaDocument {
  embedding: Float32Array;
  sourceNode?: { nodeId: string };
  getContent: (mode: 'EMBED' | 'NONE') => string;
}

type Transform = object;

/** LlamaIndex.TS as far as it is used. */
export interface Llamaindex {
  Document: new (fields: {
    id_: string;
    text: string;
    metadata: Record<string, unknown>;
    excludedEmbedMetadataKeys: string[];
    excludedLlmMetadataKeys: string[];
  }) => LlamaDocument;
  SentenceSplitter: new (sizes: {
    chunkSize: number;
    chunkOverlap: number;
    tokenizer: { encode: (text: string) => { length: number } };
  }) => Transform & { getNodesFromDocuments: (documents: LlamaDocument[]) => LlamaNode[] };
  BaseEmbedding: abstract new () => Transform & {
    embedBatchSize: number;
    getTextEmbeddings: (texts: string[]) => Promise<Float32Array[]>;
  };
  BaseVectorStore: abstract new (params?: object) => object;
  SimpleDocumentStore: new (store: object) => object;
  SimpleKVStore: {
    new (data?: object): { persist: (path: string) => Promise<void> };
    fromPersistPath: (path: string) => Promise<{ persist: (path: string) => Promise<void> }>;
  };
  IngestionPipeline: new (of: {
    transformations: Transform[];
    docStore: object;
    vectorStore: object;
    docStoreStrategy: 'upserts_and_delete';
    disableCache: boolean;
  }) => { run: (of: { documents: LlamaDocument[] }) => Promise<unknown> };
}

export const loadLlamaindex = (): Promise<Llamaindex> => load<Llamaindex>('llamaindex');
