import type { Route } from '../route.js';
import { getKillSwitch } from './get-kill-switch.js';
import { getKillSwitches } from './get-kill-switches.js';
import { getRelease } from './get-release.js';
import { getReleases } from './get-releases.js';
import { getRouting } from './get-routing.js';
import { getRoutingHistory } from './get-routing-history.js';
import { getShadow } from './get-shadow.js';
import { postKillSwitchConfirmLift } from './post-kill-switch-confirm-lift.js';
import { postKillSwitchRequestLift } from './post-kill-switch-request-lift.js';
import { postKillSwitches } from './post-kill-switches.js';
import { postReleaseAbort } from './post-release-abort.js';
import { postReleasePause } from './post-release-pause.js';
import { postReleaseProceed } from './post-release-proceed.js';
import { postReleaseResume } from './post-release-resume.js';
import { postReleases } from './post-releases.js';
import { postRollbacks } from './post-rollbacks.js';
import type { ReleaseRouteDeps } from './release-route-deps.js';

export type { ReleaseRouteDeps } from './release-route-deps.js';

/** The endpoints of `release`: releases, rollbacks, the pointer, kill switches and shadows. */
export const releaseRoutes = (deps: ReleaseRouteDeps): Route[] => [
  postReleases(deps),
  getReleases(deps),
  getRelease(deps),
  postReleasePause(deps),
  postReleaseResume(deps),
  postReleaseProceed(deps),
  postReleaseAbort(deps),
  postRollbacks(deps),
  getRouting(deps),
  getRoutingHistory(deps),
  postKillSwitches(deps),
  getKillSwitches(deps),
  getKillSwitch(deps),
  postKillSwitchRequestLift(deps),
  postKillSwitchConfirmLift(deps),
  getShadow(deps),
];
