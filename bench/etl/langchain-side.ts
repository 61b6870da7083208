import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { SourceState } from './corpus.js';
import type { Engine, HeldChunk, Provided, Side } from './engine.js';
import { lanceRows, memoryRows, type ForeignRows } from './foreign-rows.js';
import type { Langchain, RecordManager } from './foreign-modules.js';
import { memoryRecords, postgresRecords } from './langchain-records.js';
import { EMBED_BATCH } from './metered-embedder.js';

/** Chunks of a state by LangChain's own splitter. */
const splitAll = (langchain: Langchain, { documents, chunkChars }: SourceState) =>
  new langchain.RecursiveCharacterTextSplitter({
    chunkSize: chunkChars,
    chunkOverlap: 0,
  }).splitDocuments(
    [...documents.values()].map(
      ({ key, text, acl }) =>
        new langchain.Document({ pageContent: text, metadata: { source: key, acl } }),
    ),
  );

const aclOf = (metadata: Record<string, unknown>): string => (metadata.acl as string[]).join(',');

function createStore(
  langchain: Langchain,
  { embedder }: Provided,
  of: { rows: ForeignRows; version: SourceState['embedder'] },
) {
  const { rows, version } = of;
  class SharedEmbeddings extends langchain.Embeddings {
    async embedDocuments(texts: string[]): Promise<Float32Array[]> {
      const vectors: Float32Array[] = [];
      for (let at = 0; at < texts.length; at += EMBED_BATCH) {
        const slice = texts.slice(at, at + EMBED_BATCH);
        vectors.push(...(await this.caller.call(() => embedder.embed(slice, version))));
      }
      return vectors;
    }

    async embedQuery(text: string): Promise<Float32Array> {
      const [vector] = await this.embedDocuments([text]);
      return vector ?? new Float32Array();
    }
  }
  class RowStore extends langchain.VectorStore {
    _vectorstoreType(): string {
      return 'rows';
    }

    async addDocuments(
      documents: { pageContent: string; metadata: Record<string, unknown> }[],
      { ids }: { ids: string[] },
    ): Promise<string[]> {
      const texts = documents.map(({ pageContent }) => pageContent);
      const vectors = await this.embeddings.embedDocuments(texts);
      await rows.add(
        documents.map(({ pageContent, metadata }, at) => ({
          id: ids[at] ?? '',
          document: String(metadata.source),
          text: pageContent,
          acl: aclOf(metadata),
          embedder: version,
          vector: vectors[at] ?? new Float32Array(),
        })),
      );
      return ids;
    }

    delete({ ids }: { ids: string[] }): Promise<void> {
      return rows.removeIds(ids);
    }
  }
  return new RowStore(new SharedEmbeddings({}), {});
}

/** Equal chunks of a document are one record: its key is a hash of content and metadata. */
function distinct(chunks: readonly HeldChunk[]): HeldChunk[] {
  return [...new Map(chunks.map((chunk) => [`${chunk.document}\0${chunk.text}`, chunk])).values()];
}

function createEngine(
  langchain: Langchain,
  provided: Provided,
  of: { rows: ForeignRows; records: RecordManager; close: () => Promise<void> },
): Engine {
  const { rows, records } = of;
  const run = async (state: SourceState, forceUpdate: boolean): Promise<void> => {
    await langchain.index({
      docsSource: await splitAll(langchain, state),
      recordManager: records,
      vectorStore: createStore(langchain, provided, { rows, version: state.embedder }),
      options: { cleanup: 'full', batchSize: EMBED_BATCH, forceUpdate },
    });
  };
  return {
    // What its documentation says for other embeddings; it embeds everything.
    sync: (state, change) => run(state, change === 'embedder'),
    held: rows.held,
    wanted: async (state) =>
      distinct(
        (await splitAll(langchain, state)).map(({ pageContent, metadata }) => ({
          document: String(metadata.source),
          text: pageContent,
          acl: aclOf(metadata),
          embedder: state.embedder,
        })),
      ),
    restart: async () => undefined,
    close: of.close,
  };
}

/** LangChain.js: `index()` with full clean-up, records and rows in memory. */
export const langchainBare = (langchain: Langchain): Side => ({
  name: 'LangChain.js',
  open: async (provided) =>
    createEngine(langchain, provided, {
      rows: memoryRows(provided.meter),
      records: memoryRecords(),
      close: async () => undefined,
    }),
});

/** LangChain.js as an application keeps it: records in Postgres, rows in LanceDB. */
export const langchainDurable = (
  langchain: Langchain,
  at: { folder: string; databaseUrl: string },
): Side => ({
  name: 'LangChain.js',
  open: async (provided) => {
    const folder = await mkdtemp(join(at.folder, 'langchain-'));
    const rows = await lanceRows(folder, provided.meter, true);
    const records = await postgresRecords(at.databaseUrl, folder);
    return createEngine(langchain, provided, {
      rows,
      records: records.manager,
      close: async () => {
        await records.close();
        await rows.close();
        await rm(folder, { recursive: true, force: true });
      },
    });
  },
});
