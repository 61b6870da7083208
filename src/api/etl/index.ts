import type { Route } from '../route.js';
import { deleteDocument } from './delete-document.js';
import { deleteSource } from './delete-source.js';
import { getCollection } from './get-collection.js';
import { getCollections } from './get-collections.js';
import { getDocument } from './get-document.js';
import { getDocumentText } from './get-document-text.js';
import { getDocuments } from './get-documents.js';
import { getQuarantine } from './get-quarantine.js';
import { getQuarantineItem } from './get-quarantine-item.js';
import { getScan } from './get-scan.js';
import { getScans } from './get-scans.js';
import { getSource } from './get-source.js';
import { getSources } from './get-sources.js';
import { patchCollection } from './patch-collection.js';
import { postCollectionDecide } from './post-collection-decide.js';
import { postCollectionRebuild } from './post-collection-rebuild.js';
import { postCollectionReconcile } from './post-collection-reconcile.js';
import { postCollectionReembed } from './post-collection-reembed.js';
import { postCollectionRollback } from './post-collection-rollback.js';
import { postCollections } from './post-collections.js';
import { postHook } from './post-hook.js';
import { postQuarantineDiscard } from './post-quarantine-discard.js';
import { postQuarantineRelease } from './post-quarantine-release.js';
import { postQuarantineRetry } from './post-quarantine-retry.js';
import { postScanDecide } from './post-scan-decide.js';
import { postSourcePause } from './post-source-pause.js';
import { postSourceResume } from './post-source-resume.js';
import { postSourceScan } from './post-source-scan.js';
import { postSources } from './post-sources.js';
import { putSourceDocument } from './put-source-document.js';
import type { EtlRouteDeps } from './etl-route-deps.js';

export type { EmbedderOffer, EtlRouteDeps, SinkOffer } from './etl-route-deps.js';

/** The endpoints of `etl`. */
export const etlRoutes = (deps: EtlRouteDeps): Route[] => [
  postCollections(deps),
  getCollection(deps),
  getCollections(deps),
  patchCollection(deps),
  postCollectionReembed(deps),
  postCollectionRebuild(deps),
  postCollectionDecide(deps),
  postCollectionRollback(deps),
  postCollectionReconcile(deps),
  postSources(deps),
  getSource(deps),
  getSources(deps),
  postSourceScan(deps),
  postSourcePause(deps),
  postSourceResume(deps),
  deleteSource(deps),
  putSourceDocument(deps),
  getScan(deps),
  getScans(deps),
  postScanDecide(deps),
  postHook(deps),
  getDocument(deps),
  getDocuments(deps),
  deleteDocument(deps),
  getDocumentText(deps),
  getQuarantine(deps),
  getQuarantineItem(deps),
  postQuarantineRetry(deps),
  postQuarantineRelease(deps),
  postQuarantineDiscard(deps),
];
