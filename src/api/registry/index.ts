import type { Route } from '../route.js';
import { getLineage } from './get-lineage.js';
import { getModel } from './get-model.js';
import { getModelVersion } from './get-model-version.js';
import { getModelVersions } from './get-model-versions.js';
import { getModels } from './get-models.js';
import { patchModelVersion } from './patch-model-version.js';
import { postModelVersionQuarantine } from './post-model-version-quarantine.js';
import { postModelVersionRetire } from './post-model-version-retire.js';
import { putModel } from './put-model.js';
import type { RegistryRouteDeps } from './registry-route-deps.js';

export type { RegistryRouteDeps } from './registry-route-deps.js';

/** The endpoints of `registry`. */
export const registryRoutes = (deps: RegistryRouteDeps): Route[] => [
  putModel(deps),
  getModels(deps),
  getModel(deps),
  getModelVersions(deps),
  getModelVersion(deps),
  patchModelVersion(deps),
  postModelVersionQuarantine(deps),
  postModelVersionRetire(deps),
  getLineage(deps),
];
