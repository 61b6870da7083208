import { permissionTable, type Permission } from '../domain/access/permissions.js';
import type { CliDeps } from './cli-deps.js';
import { nearestOf } from './nearest-of.js';
import { UsageError } from './usage-error.js';

const holdersOf = (permission: string | undefined): readonly string[] | undefined =>
  permission === undefined || !(permission in permissionTable)
    ? undefined
    : permissionTable[permission as Permission];

/** Keys are filed under the role or under its last word: `steward` for data-steward, `admin` for tenant-admin. */
const isFiledAs = (name: string, role: string): boolean =>
  name === role || role.endsWith(`-${name}`);

/**
 * The key to call with: `--api-key`, then `--as <role>` from the keys file, then ANNEAL_API_KEY, then the only key of
 * the file. A role is never chosen for the caller, because who decides and who requests must stay different by intent;
 * only a command whose every step is one role's work names it as `usualRole`.
 * @throws UsageError naming the roles that may do it
 */
export async function chooseKey(
  deps: Pick<CliDeps, 'apiKey' | 'readKeys' | 'keysPath'>,
  given: { apiKey?: string | undefined; role?: string | undefined; usualRole?: string },
  permission: string | undefined,
): Promise<string> {
  if (given.apiKey !== undefined) return given.apiKey;
  if (given.role === undefined && deps.apiKey !== undefined) return deps.apiKey;
  const keys = await deps.readKeys();
  const names = Object.keys(keys ?? {});
  if (keys === undefined || names.length === 0) {
    throw new UsageError(
      `No API key: give --api-key or set ANNEAL_API_KEY. \`npm start\` leaves one per role in ${deps.keysPath}, for --as <role>.`,
    );
  }
  if (given.role !== undefined) {
    const key = keys[given.role];
    if (key !== undefined) return key;
    const near = nearestOf(given.role, names);
    const meant = near === undefined ? '' : ` Did you mean ${near}?`;
    throw new UsageError(
      `${deps.keysPath} has no key of role ${given.role}; it has ${names.join(', ')}.${meant}`,
    );
  }
  const [only, ...others] = Object.values(keys);
  if (only !== undefined && others.length === 0) return only;
  const usual = given.usualRole === undefined ? undefined : keys[given.usualRole];
  if (usual !== undefined) return usual;
  const holders = holdersOf(permission);
  const able = names.filter(
    (name) => holders === undefined || holders.some((role) => isFiledAs(name, role)),
  );
  const needs = holders === undefined ? '' : ` This needs ${permission}.`;
  throw new UsageError(
    `Choose who you are with --as <role>.${needs} Keys at hand: ${(able.length > 0 ? able : names).join(', ')}.`,
  );
}
