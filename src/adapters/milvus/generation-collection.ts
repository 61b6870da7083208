import { createHash, randomBytes } from 'node:crypto';
import type { FieldType, MilvusClient } from '@zilliz/milvus2-sdk-node';
import type { GenerationSpec } from '../../domain/etl/vector-sink.js';
import { PlatformError } from '../../domain/errors.js';
import { isNotFound, type MilvusConnection } from './milvus-client.js';
import {
  maxKeyBytes,
  maxListEntries,
  maxTextBytes,
  type StoredRow,
  whereKeys,
  whereTenant,
} from './stored-rows.js';

/** `Strong`: a read waits for every write that was acknowledged before it. */
export const strong = { consistency_level: 0 } as const;

/** Index of the vectors, and how wide a search in it is: fewer candidates lose recall. */
export const vectorIndex = { M: 20, efConstruction: 300, ef: 400 };

/** What reads and writes address: an alias of the collection that holds the generation, so that it can be replaced. */
export const aliasOf = ({ generationId }: Pick<GenerationSpec, 'generationId'>): string =>
  `anneal_${createHash('sha256').update(generationId).digest('hex').slice(0, 40)}`;

const text = (name: string, max_length: number, more: Partial<FieldType> = {}): FieldType => ({
  name,
  data_type: 'VarChar',
  max_length,
  ...more,
});

const marks = (name: string): FieldType => ({
  name,
  data_type: 'Array',
  element_type: 'VarChar',
  max_capacity: maxListEntries,
  max_length: 32,
});

const fieldsOf = (dims: number): FieldType[] => [
  text('pk', maxKeyBytes, { is_primary_key: true }),
  text('tenant', maxKeyBytes, { is_partition_key: true }),
  text('doc_id', maxKeyBytes),
  { name: 'embedding', data_type: 'FloatVector', dim: dims },
  text('body', maxTextBytes),
  text('terms', maxTextBytes, {
    enable_analyzer: true,
    analyzer_params: { tokenizer: 'standard' },
  }),
  text('acl', maxTextBytes),
  text('access_hash', maxKeyBytes),
  text('metadata', maxTextBytes),
  marks('readers'),
  marks('tags'),
  { name: 'sparse', data_type: 'SparseFloatVector', is_function_output: true },
];

/** Makes an empty collection with its indexes and loads it; its name is the alias and a random end. */
export async function createCollection(
  { ask }: MilvusConnection,
  alias: string,
  dims: number,
): Promise<string> {
  const collection_name = `${alias}_${randomBytes(4).toString('hex')}`;
  await ask((client) =>
    client.createCollection({
      collection_name,
      consistency_level: 'Strong',
      fields: fieldsOf(dims),
      functions: [
        {
          name: 'bm25',
          type: 'BM25',
          input_field_names: ['terms'],
          output_field_names: ['sparse'],
          params: {},
        },
      ],
    }),
  );
  const { M, efConstruction } = vectorIndex;
  await ask((client) =>
    client.createIndex({
      collection_name,
      field_name: 'embedding',
      index_type: 'HNSW',
      metric_type: 'COSINE',
      params: { M, efConstruction },
    }),
  );
  await ask((client) =>
    client.createIndex({
      collection_name,
      field_name: 'sparse',
      index_type: 'SPARSE_INVERTED_INDEX',
      metric_type: 'BM25',
      params: { bm25_k1: 0.9, bm25_b: 0.4 },
    }),
  );
  await ask((client) => client.loadCollectionSync({ collection_name }));
  return collection_name;
}

/** The collection that the alias names now, or undefined where the generation does not exist. */
export async function findCollection(
  { ask }: MilvusConnection,
  alias: string,
): Promise<string | undefined> {
  try {
    // The client insists on a collection's name, which the server does not read.
    const named = await ask((client) => client.describeAlias({ collection_name: alias, alias }));
    return named.collection;
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}

/** Loads the collection where the server forgot to: after a restart Milvus Lite has none in memory. */
export async function loadCollection({ ask }: MilvusConnection, name: string): Promise<void> {
  const { state } = await ask((client) => client.getLoadState({ collection_name: name }));
  if (String(state) !== 'LoadStateLoaded')
    await ask((client) => client.loadCollectionSync({ collection_name: name }));
}

/** Removes collections of a generation but the named one: what a crash between two steps left. */
export async function dropOthers(
  { ask }: MilvusConnection,
  alias: string,
  keep: string | undefined,
): Promise<void> {
  const { data } = await ask((client) => client.listCollections());
  for (const { name } of data)
    if (name.startsWith(`${alias}_`) && name !== keep)
      await ask((client) => client.dropCollection({ collection_name: name }));
}

/** What the store knows of one tenant's generation. */
export interface GenerationFacts {
  embedFp: string;
  dims: number;
  /** Highest lease epoch that wrote. */
  epoch: string;
}

/** Rows of this tenant describe generations; no search or scan of a real tenant meets them. */
const descriptions = '#';
const descriptionKey = (tenant: string) => `${descriptions}${tenant}`;

export async function readFacts(
  { ask }: MilvusConnection,
  { tenant, generationId }: GenerationSpec,
): Promise<GenerationFacts | undefined> {
  const { data } = await ask((client) =>
    client.query({
      collection_name: aliasOf({ generationId }),
      filter: whereKeys([descriptionKey(tenant)]),
      output_fields: ['metadata'],
      ...strong,
    }),
  );
  const [row] = data as Pick<StoredRow, 'metadata'>[];
  return row === undefined ? undefined : (JSON.parse(row.metadata) as GenerationFacts);
}

export async function writeFacts(
  { ask }: MilvusConnection,
  { tenant, generationId }: GenerationSpec,
  facts: GenerationFacts,
): Promise<void> {
  const row: StoredRow = {
    pk: descriptionKey(tenant),
    tenant: descriptions,
    doc_id: '',
    embedding: Array.from({ length: facts.dims }, (_, at) => (at === 0 ? 1 : 0)),
    body: '',
    terms: '',
    acl: '[]',
    access_hash: '',
    metadata: JSON.stringify(facts),
    readers: [],
    tags: [],
  };
  await ask((client) =>
    client.upsert({ collection_name: aliasOf({ generationId }), data: [{ ...row }] }),
  );
}

/** @throws SINK_REFUSED where the generation exists with another fingerprint or number of dimensions */
export async function ensureGeneration(
  connection: MilvusConnection,
  generation: GenerationSpec,
): Promise<void> {
  const { embedFp, dims, generationId } = generation;
  const alias = aliasOf(generation);
  const current = await findCollection(connection, alias);
  if (current === undefined) await createGeneration(connection, alias, dims);
  else await loadCollection(connection, current);
  const facts = await readFacts(connection, generation);
  if (facts === undefined) await writeFacts(connection, generation, { embedFp, dims, epoch: '0' });
  else if (facts.embedFp !== embedFp || facts.dims !== dims)
    throw new PlatformError(
      'SINK_REFUSED',
      `Generation ${generationId} exists with ${facts.dims} dimensions and fingerprint ${facts.embedFp}.`,
    );
}

/** The alias decides between processes that create the generation at once: the loser uses the winner's collection. */
async function createGeneration(
  connection: MilvusConnection,
  alias: string,
  dims: number,
): Promise<void> {
  const collection_name = await createCollection(connection, alias, dims);
  const drop = (client: MilvusClient) => client.dropCollection({ collection_name });
  try {
    await connection.ask((client) => client.createAlias({ collection_name, alias }));
  } catch (error) {
    await connection.ask(drop);
    if ((await findCollection(connection, alias)) === undefined) throw error;
  }
}

/** Removes a tenant's rows, and the collection with the last tenant. */
export async function dropGeneration(
  connection: MilvusConnection,
  generation: GenerationSpec,
): Promise<void> {
  const { ask } = connection;
  const alias = aliasOf(generation);
  const current = await findCollection(connection, alias);
  if (current !== undefined) {
    await loadCollection(connection, current);
    await ask((client) =>
      client.delete({
        collection_name: alias,
        filter: whereKeys([descriptionKey(generation.tenant)]),
      }),
    );
    const { data } = await ask((client) =>
      client.query({
        collection_name: alias,
        filter: whereTenant(descriptions),
        output_fields: ['pk'],
        limit: 1,
        ...strong,
      }),
    );
    if (data.length > 0) {
      const filter = whereTenant(generation.tenant);
      await ask((client) => client.delete({ collection_name: alias, filter }));
      return;
    }
    // A collection with an alias cannot be dropped.
    await ask((client) => client.dropAlias({ alias }));
  }
  await dropOthers(connection, alias, undefined);
}
