import { createAwaitEpochPropagated, createAwaitVersionReady } from './await-serving.js';
import { createCheckPreflight } from './check-preflight.js';
import {
  createEndRelease,
  createLoadReleaseProgress,
  createRestoreRelease,
  createRevertRelease,
} from './end-release.js';
import { createHeedReleaseOrders } from './heed-orders.js';
import { createExpireReleasePause } from './pause.js';
import { createClearRelease, createPromoteRelease } from './promote-release.js';
import type { ReleaseDeps } from './release-deps.js';
import { createBeginReleaseShadow, createTickReleaseShadow } from './shadow-release.js';
import {
  createNoteReleasePropagated,
  createTickReleaseLabels,
  createTickReleaseVerification,
} from './verify-release.js';

export type { ReleaseDeps } from './release-deps.js';

/** Activities of `release`: each looks at the facts, takes at most one step, and answers where the release is. */
export const createReleaseActivities = (deps: ReleaseDeps) => ({
  loadReleaseProgress: createLoadReleaseProgress(deps),
  checkReleasePreflight: createCheckPreflight(deps),
  awaitVersionReady: createAwaitVersionReady(deps),
  awaitEpochPropagated: createAwaitEpochPropagated(deps),
  beginReleaseShadow: createBeginReleaseShadow(deps),
  tickReleaseShadow: createTickReleaseShadow(deps),
  clearRelease: createClearRelease(deps),
  promoteRelease: createPromoteRelease(deps),
  noteReleasePropagated: createNoteReleasePropagated(deps),
  tickReleaseVerification: createTickReleaseVerification(deps),
  tickReleaseLabels: createTickReleaseLabels(deps),
  heedReleaseOrders: createHeedReleaseOrders(deps),
  expireReleasePause: createExpireReleasePause(deps),
  revertRelease: createRevertRelease(deps),
  restoreRelease: createRestoreRelease(deps),
  endRelease: createEndRelease(deps),
});
