import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import pg from 'pg';
import { createLanceStore } from '../../src/adapters/lancedb/create-lance-store.js';
import { openDatabase, type Database } from '../../src/adapters/postgres/database.js';
import { createEtlCollectionStore } from '../../src/adapters/postgres/etl-collections.js';
import {
  createEtlEmbeddings,
  createEtlShards,
} from '../../src/adapters/postgres/etl-embeddings.js';
import { createEtlGenerations } from '../../src/adapters/postgres/etl-generations.js';
import { createEtlLedger } from '../../src/adapters/postgres/etl-ledger.js';
import { createEtlReconcileLedger } from '../../src/adapters/postgres/etl-reconcile-ledger.js';
import type { LedgerParts } from '../../src/adapters/postgres/etl-rows.js';
import { createEtlScanLedger } from '../../src/adapters/postgres/etl-scan-ledger.js';
import { createEtlScanStore } from '../../src/adapters/postgres/etl-scans.js';
import {
  createEtlSourceStore,
  createSourcePauses,
} from '../../src/adapters/postgres/etl-sources.js';
import { createFieldCipher } from '../../src/adapters/secrets/field-cipher.js';
import { createFileSecrets } from '../../src/adapters/secrets/file-provider.js';
import type { EtlDeps } from '../../src/activities/etl/index.js';
import {
  createCollectionSchema,
  createSourceSchema,
} from '../../src/domain/etl/collection-view.js';
import { watchSourceStart } from '../../src/domain/etl/contract.js';
import { docId } from '../../src/domain/etl/fingerprints.js';
import type { GenerationFacts } from '../../src/domain/etl/ledger.js';
import type { VectorStore } from '../../src/domain/etl/vector-sink.js';
import type { Caller } from '../../src/domain/events/change.js';
import { newId } from '../../src/adapters/postgres/new-id.js';
import { DAY_MS } from '../../src/domain/units.js';
import type { Documents, SourceState } from './corpus.js';
import type { HeldChunk, Provided } from './engine.js';
import type { Installation } from './installation.js';
import { embedFpOf } from './metered-embedder.js';
import { heldRows, meteredSink, sharedDeps, versionOf } from './our-bare-side.js';
import { chunkingOf, type OurWorld } from './our-engine.js';

const purpose = 'support';
const POOL = 10;

const callerOf = (tenant: string): Caller => ({
  tenant,
  actor: { subject: 'workflow:bench', kind: 'system', roles: [], via: 'workflow' },
});

const specOf = (version: SourceState['embedder']) => ({
  embedder: 'hash-384',
  embedSpec: {},
  embedFp: embedFpOf(version),
  dims: 384,
  sink: 'lancedb',
});

/** Opens the two roles that write a source: the edge, which makes it, and the workers. */
function openDatabases({ urls }: Installation): { api: Database; worker: Database } {
  const open = (url: string) =>
    openDatabase({ url, poolSize: POOL, applicationName: 'anneal-bench', patienceMs: 60_000 });
  return { api: open(urls.api), worker: open(urls.worker) };
}

/** A collection with one pull source and a live generation, as the edge makes them. */
async function createSource(api: Database, tenant: string) {
  const caller = callerOf(tenant);
  const { body: collection } = await createEtlCollectionStore(api).createCollection(
    caller,
    createCollectionSchema.parse({
      name: 'bench',
      chunking: chunkingOf(800),
      purposes: [purpose],
      aclDefault: ['group:staff'],
    }),
    specOf('v1'),
  );
  const collectionId = collection.id;
  const { body: source } = await createEtlSourceStore(api).createSource(
    caller,
    createSourceSchema.parse({
      collectionId,
      name: 'corpus',
      kind: 'folder',
      config: { path: '/corpus' },
      acl: ['group:staff'],
      // Sources that list themselves must not do so between two measurements.
      schedule: null,
    }),
  );
  return { collectionId, sourceId: source.id };
}

/** Our durable world with what retrieval needs of it. */
export interface DurableWorld extends OurWorld {
  collectionId: string;
  purpose: string;
  database: Database;
  ledgerParts: LedgerParts;
  store: VectorStore;
  show: (documents: Documents) => void;
  live: () => Promise<GenerationFacts | undefined>;
}

/** Everything of a store, for the judge: by pages of ids, because a list of all of them is no query. */
async function heldOf(
  of: { store: VectorStore; tenant: string; generation: GenerationFacts },
  keyOf: (docId: string) => string,
): Promise<HeldChunk[]> {
  const { store, tenant, generation } = of;
  const { generationId, embedFp, dims } = generation;
  const sink = store.sink({ tenant, generationId, embedFp, dims });
  const ids: string[] = [];
  for await (const { rowId } of sink.scanIds({ index: 0, of: 1 })) ids.push(rowId);
  const held: HeldChunk[] = [];
  for (let at = 0; at < ids.length; at += 2_000) {
    const rows = await sink.fetch(ids.slice(at, at + 2_000));
    held.push(...heldRows(rows, keyOf, versionOf(generation)));
  }
  return held;
}

/** What the activities are given: the adapters of the product over this world. */
function createDeps(
  provided: Provided,
  of: { ledgerParts: LedgerParts; store: VectorStore; documents: () => Documents },
): EtlDeps {
  const { ledgerParts, store, documents } = of;
  const { db } = ledgerParts;
  const shared = sharedDeps(provided, documents);
  return {
    ...shared,
    ledger: createEtlLedger(ledgerParts),
    embeddings: createEtlEmbeddings({ db }),
    shards: createEtlShards({ db }),
    scans: createEtlScanLedger({
      ...ledgerParts,
      piiOf: shared.scrubber,
      chunkTokens: shared.chunkTokens,
    }),
    reconciles: createEtlReconcileLedger(ledgerParts),
    pauseSource: createSourcePauses(db),
    processId: newId('process'),
    sink: async (tenant, { generationId, embedFp, dims }) => {
      const spec = { tenant, generationId, embedFp, dims };
      await store.ensureGeneration(spec);
      return meteredSink(store.sink(spec), provided.meter);
    },
  };
}

/** What a source was last listed with, and which scan is to be run next. */
const beginScan =
  (api: Database, tenant: string, sourceId: string) => async (): Promise<string> => {
    const running = (await createEtlSourceStore(api).findSource(tenant, sourceId))?.runningScanId;
    if (running !== undefined) return running;
    return (await createEtlScanStore(api).startScan(callerOf(tenant), sourceId)).body.id;
  };

/** Moves of generations, as the workflow of a re-embedding makes them. */
function generationMoves(of: {
  admin: pg.Pool;
  worker: Database;
  tenant: string;
  collectionId: string;
}) {
  const { admin, worker, tenant, collectionId } = of;
  return {
    beginGeneration: async (version: SourceState['embedder']): Promise<string> => {
      const generationId = newId('generation');
      const { embedder, embedFp, dims, sink } = specOf(version);
      await admin.query(
        `insert into etl_generation (tenant_id, generation_id, collection_id, embedder, embed_spec, embed_fp, dims, sink,
           state, created_by) values ($1, $2, $3, $4, '{}', $5, $6, $7, 'BUILDING', 'bench')`,
        [tenant, generationId, collectionId, embedder, embedFp, dims, sink],
      );
      return generationId;
    },
    lagging: (generationId: string): Promise<number> =>
      createEtlGenerations({ db: worker }).laggingDocuments(tenant, generationId),
    flip: async (generationId: string): Promise<void> => {
      const { rows } = await admin.query<{ epoch: number }>(
        `select generation_epoch as epoch from etl_collection where tenant_id = $1 and collection_id = $2`,
        [tenant, collectionId],
      );
      await createEtlGenerations({ db: worker }).flipGeneration(callerOf(tenant), {
        collectionId,
        generationId,
        epoch: rows[0]?.epoch ?? 0,
        holdMs: DAY_MS,
      });
    },
  };
}

/** What the source shows, and the key of each document that it ever showed. */
function shownDocuments(key: Uint8Array, sourceId: string) {
  let documents: Documents = new Map();
  const keys = new Map<string, string>();
  return {
    documents: () => documents,
    keyOf: (id: string) => keys.get(id) ?? id,
    show: (next: Documents) => {
      documents = next;
      for (const name of next.keys()) keys.set(docId(key, sourceId, name), name);
    },
  };
}

/** A tenant of its own in the installation's Postgres, with a folder of vectors. */
export async function openWorld(at: Installation, provided: Provided): Promise<DurableWorld> {
  const tenant = `bench-${randomUUID().slice(0, 8)}`;
  const folder = await mkdtemp(join(at.folder, 'anneal-'));
  const { api, worker } = openDatabases(at);
  const admin = new pg.Pool({ connectionString: at.adminUrl, max: 1 });
  const secrets = createFileSecrets(join(folder, 'keys'));
  const { collectionId, sourceId } = await createSource(api, tenant);
  const ledgerParts: LedgerParts = {
    db: worker,
    cipher: createFieldCipher(secrets),
    keyOf: (name) => secrets.documentIdKey(name),
    watchStart: (source) => watchSourceStart(source),
  };
  const key = (await secrets.documentIdKey(tenant)).reveal();
  const shown = shownDocuments(key, sourceId);
  const openStore = () => createLanceStore({ folder: join(folder, 'vectors') });
  let store = openStore();
  const makeDeps = () => createDeps(provided, { ledgerParts, store, documents: shown.documents });
  let deps = makeDeps();
  const live = async () =>
    (await deps.ledger.generations(tenant, collectionId)).find(({ state }) => state === 'LIVE');
  return {
    tenant,
    sourceId,
    collectionId,
    purpose,
    database: worker,
    ledgerParts,
    live,
    ...generationMoves({ admin, worker, tenant, collectionId }),
    get deps() {
      return deps;
    },
    get store() {
      return store;
    },
    show: shown.show,
    beginScan: beginScan(api, tenant, sourceId),
    setChunking: async (chars) => {
      const chunking = chunkingOf(chars);
      await createEtlCollectionStore(api).changeCollection(callerOf(tenant), collectionId, {
        chunking,
      });
    },
    claimLagging: async (generationId, batchId) => {
      const claim = { tenant, generationId, batchId, maxDocuments: 512 };
      return (await createEtlLedger(ledgerParts).claimLagging(claim)).claimed;
    },
    held: async () => {
      const generation = await live();
      if (generation === undefined) return [];
      return heldOf({ store, tenant, generation }, shown.keyOf);
    },
    restart: async () => {
      await store.close();
      store = openStore();
      deps = makeDeps();
      // Claims of a process that is gone end by themselves after 15 minutes; here nobody waits for that.
      await admin.query(
        `update etl_document set claim_until = now() where tenant_id = $1 and claim_batch is not null`,
        [tenant],
      );
    },
    close: async () => {
      await store.close();
      await Promise.all([api.close(), worker.close(), admin.end()]);
      await rm(folder, { recursive: true, force: true });
    },
  };
}
