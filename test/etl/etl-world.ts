import { randomUUID } from 'node:crypto';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openFolderStore } from '../../src/adapters/artifacts/folder-store.js';
import { createEtlChanges } from '../../src/adapters/postgres/etl-changes.js';
import { createEtlGenerationMoves } from '../../src/adapters/postgres/etl-collection-moves.js';
import { createEtlCollectionStore } from '../../src/adapters/postgres/etl-collections.js';
import { createEtlDocumentStore } from '../../src/adapters/postgres/etl-documents.js';
import { createEtlQuarantineStore } from '../../src/adapters/postgres/etl-quarantine.js';
import { createEtlReads } from '../../src/adapters/postgres/etl-reads.js';
import type { LedgerParts } from '../../src/adapters/postgres/etl-rows.js';
import { createEtlScanStore } from '../../src/adapters/postgres/etl-scans.js';
import { createEtlSourceStore } from '../../src/adapters/postgres/etl-sources.js';
import { createFieldCipher } from '../../src/adapters/secrets/field-cipher.js';
import { createFileSecrets } from '../../src/adapters/secrets/file-provider.js';
import { etlRoutes, type EtlRouteDeps } from '../../src/api/etl/index.js';
import { etlWorkflowId, watchSourceStart } from '../../src/domain/etl/contract.js';
import { hookKey } from '../../src/domain/etl/webhook-signature.js';
import { PlatformError } from '../../src/domain/errors.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import {
  answerOf,
  headersOf,
  serveRoutes,
  type Answer,
  type Sender,
  type ServedRoutes,
} from '../support/serve-routes.js';

/** The edge of `etl` over a database and an artifact store of its own. */
export interface EtlWorld extends ServedRoutes {
  database: TestDatabase;
  upload: (
    sourceId: string,
    who: Sender,
    form: { options: unknown; file: string | Uint8Array<ArrayBuffer>; name?: string },
  ) => Promise<Answer>;
  /** Names of the files that the artifact store holds of a tenant, half-written ones of anybody included. */
  storedFiles: (tenant: string) => Promise<string[]>;
  newTenant: () => string;
}

const offers: Pick<EtlRouteDeps, 'findEmbedder' | 'findSink'> = {
  findEmbedder: (embedder) =>
    embedder === 'hash-384' || embedder === 'lsa'
      ? { embedder, embedSpec: {}, embedFp: 'fp', dims: 384, fitted: embedder === 'lsa' }
      : undefined,
  findSink: (name) =>
    ({
      lancedb: { maxDims: 4_096, lexicalSink: 'lancedb' },
      pgvector: { maxDims: 4_000, lexicalSink: 'lancedb' },
      small: { maxDims: 100, lexicalSink: 'small' },
    })[name],
};

async function createDeps(
  database: TestDatabase,
  root: string,
  more: Partial<EtlRouteDeps>,
): Promise<EtlRouteDeps> {
  const secrets = createFileSecrets(join(root, 'keys'));
  const cipher = createFieldCipher(secrets);
  const parts: LedgerParts = {
    db: database.api,
    cipher,
    keyOf: (tenant) => secrets.documentIdKey(tenant),
    watchStart: watchSourceStart,
  };
  const changes = createEtlChanges(parts);
  return {
    ...offers,
    ...createEtlCollectionStore(database.api),
    ...createEtlGenerationMoves(database.api, {
      reembedCollection: ({ tenant, generationId }) => ({
        workflowId: etlWorkflowId(tenant, generationId),
        workflowType: 'reembedCollection',
        taskQueue: 'orchestration',
        input: { tenant, generationId },
        options: { summary: 'reembed', searchAttributes: {}, priorityKey: 5 },
        startedBy: 'api',
      }),
    }),
    ...createEtlSourceStore(database.api),
    ...createEtlScanStore(database.api),
    ...createEtlDocumentStore(database.api, cipher),
    ...createEtlQuarantineStore(database.api, cipher),
    submitChanges: changes.submitChanges,
    checkSource: async (_kind, config) =>
      typeof config.path === 'string' && !config.path.startsWith('/allowed')
        ? [{ pointer: '/config/path', code: 'outside_roots' }]
        : [],
    hookKey: async (tenant, sourceId) =>
      hookKey((await secrets.documentIdKey(tenant)).reveal(), sourceId),
    openUrl: async () => {
      throw new PlatformError('EGRESS_REFUSED', 'No address is allowed here.');
    },
    readSpans: createEtlReads(parts).readSpans,
    artifacts: await openFolderStore({ root: join(root, 'artifacts'), nowMs: Date.now() }),
    uploadDeadlineMs: 60_000,
    nowMs: Date.now,
    links: { temporalUi: (id) => `http://localhost/${id}` },
    ...more,
  };
}

/** Builds the world; `more` stands in for what it has by itself. */
export async function createEtlWorld(more: Partial<EtlRouteDeps> = {}): Promise<EtlWorld> {
  const database = await createTestDatabase();
  const root = await mkdtemp(join(tmpdir(), 'anneal-etl-'));
  const served = await serveRoutes(etlRoutes(await createDeps(database, root, more)), database);
  return {
    ...served,
    database,
    upload: async (sourceId, who, { options, file, name = 'file' }) => {
      const body = new FormData();
      body.append('options', JSON.stringify(options));
      body.append('file', new Blob([file]), name);
      const path = `${served.url}/v1/sources/${sourceId}/documents`;
      return answerOf(await fetch(path, { method: 'PUT', headers: headersOf(who), body }));
    },
    storedFiles: async (tenant) => {
      const folder = join(root, 'artifacts');
      const found = await readdir(join(folder, tenant), {
        recursive: true,
        withFileTypes: true,
      }).catch(() => []);
      const incoming = await readdir(join(folder, '.incoming'));
      return [...found.filter((file) => file.isFile()).map(({ name }) => name), ...incoming];
    },
    newTenant: () => `t-${randomUUID().slice(0, 8)}`,
    close: async () => {
      await served.close();
      await database.close();
      await rm(root, { recursive: true, force: true });
    },
  };
}

/** A collection with a source of one kind; answers both. */
export async function createSource(
  world: EtlWorld,
  tenant: string,
  source: { kind: string; config?: object },
): Promise<{ collectionId: string; source: Answer['body']; sourceId: string }> {
  const body = { name: `c-${randomUUID().slice(0, 8)}`, purposes: ['support'] };
  const made = await world.send('POST /v1/collections', { tenant, body });
  const collectionId = String(made.body.id);
  const asked = { collectionId, name: 'docs', acl: ['group:staff'], ...source };
  const answer = await world.send('POST /v1/sources', { tenant, body: asked });
  if (answer.status !== 201) throw new Error(JSON.stringify([made, answer]));
  return { collectionId, source: answer.body, sourceId: String(answer.body.id) };
}
