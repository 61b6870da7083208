import { join } from 'node:path';
import type { StagedName } from '../../domain/artifacts.js';
import { PlatformError } from '../../domain/errors.js';

const TENANT = '[a-z0-9][a-z0-9-]{0,62}';
const NAME = '[A-Za-z0-9][A-Za-z0-9._-]{0,127}';
const FINAL_REF = new RegExp(`^(${TENANT})/sha256/([0-9a-f]{64})$`);
const STAGED_REF = new RegExp(`^(${TENANT})/staged/(${NAME})/(${NAME})$`);
const tenantPattern = new RegExp(`^${TENANT}$`);
const namePattern = new RegExp(`^${NAME}$`);

/** A parsed ref: its path below the root, and the digest if it is addressed by content. */
export interface FolderKey {
  path: string;
  hex: string | undefined;
}

const refused = (what: string): PlatformError =>
  new PlatformError('ARTIFACT_CORRUPT', 'The artifact reference is not valid.', { internal: what });

/** Path below the root of a tenant's content-addressed bytes; 256 folders keep listings short. */
const finalPath = (tenantId: string, hex: string): string =>
  join(tenantId, 'sha256', hex.slice(0, 2), hex);

/** Ref of content-addressed bytes. */
export function finalKey(tenantId: string, hex: string): { ref: string; path: string } {
  if (!tenantPattern.test(tenantId)) throw refused(`tenant ${JSON.stringify(tenantId)}`);
  return { ref: `${tenantId}/sha256/${hex}`, path: finalPath(tenantId, hex) };
}

/** Ref of a staging area's folder. */
export function scopePath(tenantId: string, scope: string): string {
  if (!tenantPattern.test(tenantId) || !namePattern.test(scope))
    throw refused(`scope ${JSON.stringify([tenantId, scope])}`);
  return join(tenantId, 'staged', scope);
}

/** Ref of a staged object. */
export function stagedKey({ tenantId, scope, name }: StagedName): { ref: string; path: string } {
  const folder = scopePath(tenantId, scope);
  if (!namePattern.test(name)) throw refused(`name ${JSON.stringify(name)}`);
  return { ref: `${tenantId}/staged/${scope}/${name}`, path: join(folder, name) };
}

/** Parses a ref. Only names of our own making pass, so no ref reaches outside the root. */
export function parseRef(ref: string): FolderKey {
  const final = FINAL_REF.exec(ref);
  if (final?.[1] && final[2]) return { path: finalPath(final[1], final[2]), hex: final[2] };
  const staged = STAGED_REF.exec(ref);
  if (staged?.[1] && staged[2] && staged[3])
    return { path: join(staged[1], 'staged', staged[2], staged[3]), hex: undefined };
  throw refused(`ref ${JSON.stringify(ref)}`);
}
