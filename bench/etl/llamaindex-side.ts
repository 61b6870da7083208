import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { SourceState } from './corpus.js';
import type { Engine, HeldChunk, Provided, Side } from './engine.js';
import { lanceRows, memoryRows, type ForeignRows } from './foreign-rows.js';
import type { Llamaindex, LlamaNode } from './foreign-modules.js';
import { EMBED_BATCH, RateLimited } from './metered-embedder.js';

const hidden = ['acl'];
const MAX_TRIES = 10;

const documentsOf = (llamaindex: Llamaindex, { documents }: SourceState) =>
  [...documents.values()].map(
    ({ key, text, acl }) =>
      new llamaindex.Document({
        id_: key,
        text,
        metadata: { acl: acl.join(',') },
        // Access is no part of what is embedded, nor of a chunk's size.
        excludedEmbedMetadataKeys: hidden,
        excludedLlmMetadataKeys: hidden,
      }),
  );

const splitterOf = (llamaindex: Llamaindex, chunkSize: number) =>
  new llamaindex.SentenceSplitter({
    chunkSize,
    chunkOverlap: 0,
    // Sizes in characters, as for the others.
    tokenizer: { encode: (text) => ({ length: text.length }) },
  });

const heldOf = (node: LlamaNode, embedder: SourceState['embedder']): HeldChunk => ({
  document: node.sourceNode?.nodeId ?? '',
  text: node.getContent('EMBED'),
  acl: String(node.metadata.acl),
  embedder,
});

/** Embeds like the provider SDKs behind LlamaIndex: a refusal for too many requests is tried again after its delay. */
function createEmbedding(
  llamaindex: Llamaindex,
  { embedder }: Provided,
  version: SourceState['embedder'],
) {
  const embed = async (texts: string[]): Promise<Float32Array[]> => {
    for (let tries = 1; ; tries++)
      try {
        // The pipeline empties the list it hands on while it waits for nothing else.
        return await embedder.embed([...texts], version);
      } catch (error) {
        if (!(error instanceof RateLimited) || tries === MAX_TRIES) throw error;
        await sleep(error.retryAfterMs);
      }
  };
  class SharedEmbedding extends llamaindex.BaseEmbedding {
    constructor() {
      super();
      this.embedBatchSize = EMBED_BATCH;
      this.getTextEmbeddings = embed;
    }

    async getTextEmbedding(text: string): Promise<Float32Array | undefined> {
      return (await embed([text]))[0];
    }
  }
  return new SharedEmbedding();
}

function createStore(
  llamaindex: Llamaindex,
  of: { rows: ForeignRows; version: SourceState['embedder']; embedding: object },
) {
  const { rows, version, embedding } = of;
  class RowStore extends llamaindex.BaseVectorStore {
    readonly storesText = true;

    async add(nodes: LlamaNode[]): Promise<string[]> {
      await rows.add(
        nodes.map((node) => ({
          ...heldOf(node, version),
          id: node.id_,
          vector: node.embedding,
        })),
      );
      return nodes.map(({ id_ }) => id_);
    }

    delete(document: string): Promise<void> {
      return rows.removeDocument(document);
    }
  }
  return new RowStore({ embeddingModel: embedding });
}

/** Where the document store is kept between two runs. */
interface Shelf {
  load: () => Promise<object>;
  save: (store: { persist: (path: string) => Promise<void> }) => Promise<void>;
  close: () => Promise<void>;
}

function createEngine(
  llamaindex: Llamaindex,
  provided: Provided,
  of: { rows: ForeignRows; shelf: Shelf },
): Engine {
  const { rows, shelf } = of;
  let known: InstanceType<Llamaindex['SimpleKVStore']> | undefined;
  const sync = async (state: SourceState): Promise<void> => {
    known ??= new llamaindex.SimpleKVStore(await shelf.load());
    const version = state.embedder;
    const embedding = createEmbedding(llamaindex, provided, version);
    const pipeline = new llamaindex.IngestionPipeline({
      transformations: [splitterOf(llamaindex, state.chunkChars), embedding],
      docStore: new llamaindex.SimpleDocumentStore(known),
      vectorStore: createStore(llamaindex, { rows, version, embedding }),
      docStoreStrategy: 'upserts_and_delete',
      // It keeps every batch a second time and answers nothing here but runs that are equal as a whole.
      disableCache: true,
    });
    await pipeline.run({ documents: documentsOf(llamaindex, state) });
    await shelf.save(known);
  };
  return {
    sync,
    // A document store knows documents, not how they were cut or embedded: the way on is to begin again.
    rebuild: async (state) => {
      await rows.clear();
      known = new llamaindex.SimpleKVStore({});
      await sync(state);
    },
    held: rows.held,
    wanted: async (state) =>
      splitterOf(llamaindex, state.chunkChars)
        .getNodesFromDocuments(documentsOf(llamaindex, state))
        .map((node) => heldOf(node, state.embedder)),
    restart: async () => {
      known = undefined;
    },
    close: async () => {
      await rows.close();
      await shelf.close();
    },
  };
}

/** LlamaIndex.TS: an ingestion pipeline with upserts and deletes, everything in memory. */
export const llamaindexBare = (llamaindex: Llamaindex): Side => ({
  name: 'LlamaIndex.TS',
  open: async (provided) =>
    createEngine(llamaindex, provided, {
      rows: memoryRows(provided.meter),
      shelf: { load: async () => ({}), save: async () => undefined, close: async () => undefined },
    }),
});

/**
 * LlamaIndex.TS as an application keeps it: its document store in its file, written once at the end of a run (written
 * with every entry, as `persistDir` does it, the file of this corpus is rewritten ten thousand times), rows in LanceDB.
 */
export const llamaindexDurable = (llamaindex: Llamaindex, at: { folder: string }): Side => ({
  name: 'LlamaIndex.TS',
  open: async (provided) => {
    const folder = await mkdtemp(join(at.folder, 'llamaindex-'));
    const file = join(folder, 'doc_store.json');
    return createEngine(llamaindex, provided, {
      rows: await lanceRows(folder, provided.meter, false),
      shelf: {
        load: async () =>
          JSON.parse(await readFile(file, 'utf8').catch(() => '{}')) as Record<string, object>,
        save: (store) => store.persist(file),
        close: () => rm(folder, { recursive: true, force: true }),
      },
    });
  },
});
