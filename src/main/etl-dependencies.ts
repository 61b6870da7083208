import { randomBytes } from 'node:crypto';
import { realpath } from 'node:fs/promises';
import { sep } from 'node:path';
import { createFolderSource } from '../adapters/folder-source/create-folder-source.js';
import { createParser } from '../adapters/parsing/create-parser.js';
import { createRowSplitter } from '../adapters/parsing/create-row-splitter.js';
import { createEtlGenerationMoves } from '../adapters/postgres/etl-collection-moves.js';
import { createEtlCanaries } from '../adapters/postgres/etl-canaries.js';
import { createEtlCollectionStore } from '../adapters/postgres/etl-collections.js';
import { createEtlDocumentStore } from '../adapters/postgres/etl-documents.js';
import { createEtlDueWork } from '../adapters/postgres/etl-due-work.js';
import { createEtlFits } from '../adapters/postgres/etl-fits.js';
import { createEtlGenerations } from '../adapters/postgres/etl-generations.js';
import { createEtlQuarantineStore } from '../adapters/postgres/etl-quarantine.js';
import { createEtlReconcileLedger } from '../adapters/postgres/etl-reconcile-ledger.js';
import { createEtlReembeds } from '../adapters/postgres/etl-reembeds.js';
import { createEtlScanLedger } from '../adapters/postgres/etl-scan-ledger.js';
import { createEtlScanStore } from '../adapters/postgres/etl-scans.js';
import { createEtlSourceStore, createSourcePauses } from '../adapters/postgres/etl-sources.js';
import { createRetrievalProbes } from '../adapters/postgres/retrieval-probes.js';
import { startChild } from '../adapters/processes/start-child.js';
import {
  createCareActivities,
  createEtlActivities,
  createReembedActivities,
  createShardLeases,
  observeEtl,
  withRows,
  type EtlDeps,
  type ReembedDeps,
} from '../activities/etl/index.js';
import { createProbeActivities, createRetrievalActivities } from '../activities/retrieval/index.js';
import type { EtlRouteDeps } from '../api/etl/index.js';
import type { RetrievalRouteDeps } from '../api/retrieval/index.js';
import type { Links } from '../api/started.js';
import type { Config } from '../config.js';
import { rebuildSchema } from '../domain/etl/generation-decision.js';
import { reembedCollectionStart } from '../domain/etl/reembed-contract.js';
import { hookKey } from '../domain/etl/webhook-signature.js';
import { formatId } from '../domain/ids.js';
import type { Parts } from './dependencies.js';
import { chunkTokensOf, embedderOffers } from './embedders.js';
import { createFolderLoops } from './etl-loops.js';
import { createFit } from './fit-embedder.js';
import { createKnowledge, limitsOf, type Knowledge } from './knowledge.js';
import { startWorkerThread } from './model-runtime.js';
import { createOpenUrl, createOutbound, type Outbound } from './outbound.js';
import type { Serving } from './serving.js';

/** A whole upload's body, in milliseconds (15 minutes). */
const UPLOAD_DEADLINE_MS = 900_000;

/** Whether a folder lies in one of the allowed ones, links resolved; false where it cannot be read. */
async function isAllowedFolder(roots: readonly string[], path: string): Promise<boolean> {
  const real = await realpath(path).catch(() => undefined);
  if (real === undefined) return false;
  for (const root of roots) {
    const allowed = await realpath(root).catch(() => undefined);
    if (allowed !== undefined && (real === allowed || real.startsWith(`${allowed}${sep}`)))
      return true;
  }
  return false;
}

const checkSourceIn =
  ({ etl }: Config): EtlRouteDeps['checkSource'] =>
  async (kind, { path }) => {
    if (kind !== 'folder' || typeof path !== 'string') return [];
    if (await isAllowedFolder(etl.sourceFolders, path)) return [];
    const folders = etl.sourceFolders.join(', ');
    return [
      {
        pointer: '/config/path',
        code: 'SOURCE_CONFIG_INVALID',
        detail: `is no folder inside ${folders === '' ? 'an allowed one: none is' : folders}; set ANNEAL_SOURCE_FOLDERS`,
      },
    ];
  };

/** What the endpoints of `etl` and `retrieval` ask for. */
export function createKnowledgeRoutes(
  parts: Parts,
  of: { serving: Serving; knowledge: Knowledge; outbound: Outbound; links: Links },
): { etl: EtlRouteDeps; retrieval: RetrievalRouteDeps } {
  const { db, config, artifacts } = parts;
  const { serving, knowledge, outbound, links } = of;
  const limits = limitsOf(config);
  return {
    etl: {
      ...createEtlCollectionStore(db, limits),
      ...createEtlGenerationMoves(db, { reembedCollection: reembedCollectionStart }),
      ...createEtlSourceStore(db, limits),
      ...createEtlScanStore(db, limits),
      ...createEtlDocumentStore(db, serving.cipher),
      ...createEtlQuarantineStore(db, serving.cipher, limits),
      findEmbedder: embedderOffers(parts, outbound.embedding),
      findSink: knowledge.findSink,
      checkSource: checkSourceIn(config),
      hookKey: async (tenant, sourceId) =>
        hookKey((await serving.secrets.documentIdKey(tenant)).reveal(), sourceId),
      openUrl: createOpenUrl(outbound.documents),
      submitChanges: knowledge.ledger.submitChanges,
      readSpans: knowledge.retrievalDeps.reads.readSpans,
      artifacts,
      uploadDeadlineMs: UPLOAD_DEADLINE_MS,
      nowMs: () => Date.now(),
      links,
    },
    retrieval: { ...knowledge.retrieval, ...knowledge.evaluations, links },
  };
}

/** Reads what a push source sent, its digest checked. */
const readArtifactOf =
  ({ artifacts }: Parts) =>
  async (ref: string): Promise<Uint8Array> => {
    const chunks: Uint8Array[] = [];
    for await (const chunk of artifacts.openStream(ref, { verify: true })) chunks.push(chunk);
    return Buffer.concat(chunks);
  };

/** What re-embedding asks for in a worker. */
const reembedDeps = (parts: Parts, knowledge: Knowledge): ReembedDeps => ({
  backfills: knowledge.ledger,
  generations: createEtlGenerations(parts),
  reembeds: createEtlReembeds(parts),
  fits: createEtlFits(knowledge.ledgerParts),
  fit: createFit(parts),
  dropPlace: ({ sink, ...place }) => knowledge.storeOf(sink).dropGeneration(place),
});

/** What Schedules start in a worker. */
const careActivities = ({ db, config }: Parts, etl: EtlDeps) => ({
  ...createCareActivities({
    ...createEtlDueWork(db, limitsOf(config)),
    ...createEtlCanaries(db),
    findGeneration: etl.reconciles.findGeneration,
    embedder: etl.embedder,
  }),
  ...createProbeActivities({
    ...createRetrievalProbes(db),
    rebuild: (caller, collectionId) =>
      createEtlGenerationMoves(db, { reembedCollection: reembedCollectionStart }).rebuild(
        caller,
        collectionId,
        rebuildSchema.parse({}),
      ),
    sink: etl.sink,
  }),
});

/** The activities of `etl` and `retrieval` in a worker, with the children and threads that they need. */
export async function createKnowledgeActivities(
  parts: Parts,
  serving: Serving,
  around: (deps: EtlDeps) => EtlDeps = (deps) => deps,
) {
  const { db, config, log } = parts;
  const outbound = createOutbound(config);
  const knowledge = createKnowledge(parts, serving, outbound.embedding);
  const parser = await createParser({
    startChild,
    children: config.etl.parserChildCount,
    onKill: parts.metrics.knowledge.etl.parserKilled,
  });
  const folders = withRows(
    createFolderSource({ roots: config.etl.sourceFolders }),
    createRowSplitter(startWorkerThread),
  );
  const chunkTokens = chunkTokensOf(config);
  const etl = observeEtl(
    around({
      ledger: knowledge.ledger,
      embeddings: knowledge.embeddings,
      shards: knowledge.shards,
      scans: createEtlScanLedger({
        ...knowledge.ledgerParts,
        piiOf: knowledge.scrubber,
        chunkTokens,
      }),
      reconciles: createEtlReconcileLedger(knowledge.ledgerParts),
      pauseSource: createSourcePauses(db),
      pullSource: (kind) => (kind === 'folder' ? folders : undefined),
      readArtifact: readArtifactOf(parts),
      parser,
      scrubber: knowledge.scrubber,
      chunkTokens,
      embedder: knowledge.embedderOf,
      sink: knowledge.sinkOf,
      processId: formatId('process', Date.now(), randomBytes(10)),
      log,
      observe: parts.metrics.knowledge.etl.observe,
    }),
  );
  const leases = createShardLeases(etl);
  const activities = {
    ...createEtlActivities(etl, leases),
    ...createReembedActivities({ ...etl, ...reembedDeps(parts, knowledge) }, leases),
    ...createRetrievalActivities({
      ...knowledge.evaluations,
      ...knowledge.runs,
      retrieval: knowledge.retrievalDeps,
    }),
    ...careActivities(parts, etl),
  };
  return {
    activities,
    loops: createFolderLoops(parts, { ...knowledge, processId: etl.processId }),
    close: async () => {
      await parser.close();
      await knowledge.close();
      await outbound.close();
    },
  };
}
