import type { Role } from '../domain/access/permissions.js';
import { readLocalKeys, writeLocalKeys } from './bootstrap-installation.js';
import { createTourClient, RefusedError, type TourClient } from './tour-client.js';

/** Who takes part: one principal and one key each, because no one may do everything. */
const cast = {
  steward: { kind: 'person', role: 'data-steward' },
  engineer: { kind: 'person', role: 'ml-engineer' },
  'config-admin': { kind: 'person', role: 'config-admin' },
  approver: { kind: 'person', role: 'approver' },
  operator: { kind: 'person', role: 'operator' },
  auditor: { kind: 'person', role: 'auditor' },
  service: { kind: 'service', role: 'service' },
} as const satisfies Record<string, { kind: string; role: Role }>;
/** What everyone here belongs to, for access lists of documents. */
const GROUP = 'staff';
export type Part = keyof typeof cast;
export type People = Record<Part, TourClient>;

/** True where the key still opens the door. */
async function isValid(client: TourClient): Promise<boolean> {
  try {
    await client.get('/v1/me');
    return true;
  } catch (error) {
    if (error instanceof RefusedError && error.status === 401) return false;
    throw error;
  }
}

async function issueKey(admin: TourClient, part: Part): Promise<string> {
  const { kind, role } = cast[part];
  const { items } = (await admin.get('/v1/principals?limit=200')) as {
    items: { id: string; name: string }[];
  };
  const known = items.find(({ name }) => name === part);
  const made = { kind, name: part, roles: [role], groups: [GROUP] };
  const principal = known ?? (await admin.post('/v1/principals', made));
  const issued = await admin.post('/v1/api-keys', {
    principalId: principal.id,
    env: 'prod',
  });
  return String(issued.key);
}

/** One client per part; keys that are missing or revoked are issued anew and kept in `.anneal/keys.json`. */
export async function gatherPeople(baseUrl: string, stateDir: string): Promise<People> {
  const keys = await readLocalKeys(stateDir);
  if (keys.admin === undefined)
    throw new Error(`no admin key in ${stateDir}/keys.json: the tour needs one`);
  const admin = createTourClient(baseUrl, keys.admin);
  const people: Partial<People> = {};
  for (const part of Object.keys(cast) as Part[]) {
    const known = keys[part];
    const client = known === undefined ? undefined : createTourClient(baseUrl, known);
    if (client !== undefined && (await isValid(client))) {
      people[part] = client;
      continue;
    }
    const key = await issueKey(admin, part);
    await writeLocalKeys(stateDir, { [part]: key });
    people[part] = createTourClient(baseUrl, key);
  }
  return people as People;
}
