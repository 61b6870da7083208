import { PlatformError } from '../../domain/errors.js';
import type { ReleaseView } from '../../domain/release/view.js';
import type { ReleaseRouteDeps } from './release-route-deps.js';

/** A release of the caller's environment. @throws NOT_FOUND */
export async function readRelease(
  deps: Pick<ReleaseRouteDeps, 'findRelease'>,
  principal: { tenant: string; env: string },
  releaseId: string,
): Promise<ReleaseView> {
  const found = await deps.findRelease(principal.tenant, { env: principal.env, releaseId });
  if (found === undefined) throw new PlatformError('NOT_FOUND', 'There is no such release.');
  return found;
}
