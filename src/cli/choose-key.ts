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

/** The names of keys that hold a permission; an admin, who holds almost all, comes last. */
export const ableOf = (names: readonly string[], permission: string | undefined): string[] => {
  const holders = holdersOf(permission);
  return names
    .filter((name) => holders?.some((role) => isFiledAs(name, role)) !== false)
    .sort((a, b) => Number(isAdmin(a)) - Number(isAdmin(b)));
};

const isAdmin = (name: string): boolean => name === 'admin' || name === 'tenant-admin';

/** The names under which `npm start` leaves keys. */
const usualNames = 'engineer steward operator approver auditor service config-admin admin'.split(
  ' ',
);

/** The name of a key that holds a permission, where nothing is known of the keys at hand. */
export const usualNameFor = (permission: string | undefined): string | undefined =>
  permission === undefined ? undefined : ableOf(usualNames, permission)[0];

interface GivenKey {
  apiKey?: string | undefined;
  role?: string | undefined;
}

/**
 * ` --as <name>` for a command that is proposed: the role of this call where it may do it too, else one that may;
 * nothing where keys are given in another way.
 */
export async function asOption(
  deps: Pick<CliDeps, 'apiKey' | 'readKeys'>,
  given: GivenKey,
  permission: string | undefined,
): Promise<string> {
  if (given.apiKey !== undefined) return '';
  if (given.role === undefined && deps.apiKey !== undefined) return '';
  const names = Object.keys((await deps.readKeys()) ?? {});
  if (names.length < 2) return '';
  const able = ableOf(names, permission);
  const name = given.role !== undefined && able.includes(given.role) ? given.role : able[0];
  return name === undefined ? '' : ` --as ${name}`;
}

/**
 * The key to call with: `--api-key`, then `--as <role>` from the keys file, then ANNEAL_API_KEY, then the only key of
 * the file. A role is never chosen for the caller, because who decides and who requests must stay different by intent;
 * only a command whose every step is one role's work names it as `usualRole`.
 * @throws UsageError naming the roles that may do it
 */
export async function chooseKey(
  deps: Pick<CliDeps, 'apiKey' | 'readKeys' | 'keysPath'>,
  given: GivenKey & { usualRole?: string },
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
  const able = ableOf(names, permission);
  const needs = holdersOf(permission) === undefined ? '' : ` This needs ${permission}.`;
  throw new UsageError(
    `Choose who you are with --as <role>.${needs} Keys at hand: ${(able.length > 0 ? able : names).join(', ')}.`,
  );
}
