import { hashApiKeySecret, parseApiKey, type ParsedApiKey } from '../../domain/access/api-key.js';
import type { KeyRecord } from '../../domain/access/key-record.js';
import { permissionsOf } from '../../domain/access/permissions.js';
import type { Principal } from '../../domain/access/principal.js';
import { equalSecrets, sha256Hex } from '../../domain/digest.js';
import type { KeyVersion } from '../../domain/secrets.js';

/** Why a credential proves nobody. For counters and logs; the caller is told none of it. */
export type AuthFailure =
  'missing' | 'malformed' | 'unknown' | 'wrong-secret' | 'revoked' | 'expired' | 'disabled';

/** What authentication asks for. */
export interface AuthenticatorDeps {
  findKey: (keyId: string) => Promise<KeyRecord | undefined>;
  /** The pepper of one version; the newest where none is named. */
  pepper: (version?: number) => Promise<KeyVersion>;
  /** Registers what must hear of a changed key or principal, by id; an empty id means anything may have changed. */
  subscribe: (forget: (id: string) => void) => void;
  nowMs: () => number;
  /** How long an answer is remembered; at most 5,000, so that a lost notice costs no more. */
  ttlMs?: number;
  /** How many keys are remembered. */
  maxEntries?: number;
}

interface Remembered {
  principal: Principal;
  keyId: string;
  validUntilMs: number;
}

const MAX_TTL_MS = 5_000;
const DEFAULT_TTL_MS = 4_000;
const DEFAULT_ENTRIES = 10_000;
const MAX_HEADER_CHARACTERS = 512;
const BEARER = /^Bearer +([\x21-\x7e]+) *$/i;
/** Compared with where a key id is unknown, so that it costs the same as a wrong secret. */
const NO_HMAC = new Uint8Array(32);

const principalOf = (record: KeyRecord): Principal => ({
  tenant: record.tenant,
  subject: record.principalId,
  name: record.name,
  kind: record.kind,
  roles: record.roles,
  groups: record.groups,
  permissions: permissionsOf(record.roles, record.scopes),
  env: record.env,
  via: `api-key:${record.keyId}`,
});

async function prove(
  deps: AuthenticatorDeps,
  key: ParsedApiKey,
): Promise<{ record: KeyRecord } | { failure: AuthFailure }> {
  const record = await deps.findKey(key.keyId);
  const pepper = await deps.pepper(record?.pepperVersion);
  const computed = hashApiKeySecret(pepper, key.secret);
  const proved = equalSecrets(computed, record?.secretHmac ?? NO_HMAC);
  if (record === undefined) return { failure: 'unknown' };
  if (!proved || record.env !== key.env) return { failure: 'wrong-secret' };
  if (record.revokedAtMs !== undefined) return { failure: 'revoked' };
  if (record.disabledAtMs !== undefined) return { failure: 'disabled' };
  if (record.expiresAtMs !== undefined && record.expiresAtMs <= deps.nowMs()) {
    return { failure: 'expired' };
  }
  return { record };
}

/** What is remembered of proved keys, by the hash of the whole key: no secret stays in memory. */
function createMemory(deps: AuthenticatorDeps) {
  const held = new Map<string, Remembered>();
  const ttlMs = Math.min(deps.ttlMs ?? DEFAULT_TTL_MS, MAX_TTL_MS);
  let generation = 0;
  deps.subscribe((id) => {
    generation++;
    for (const [hash, { keyId, principal }] of held) {
      if (id === '' || id === keyId || id === principal.subject) held.delete(hash);
    }
  });
  return {
    generation: () => generation,
    get: (hash: string): Principal | undefined => {
      const found = held.get(hash);
      if (found === undefined) return undefined;
      if (found.validUntilMs > deps.nowMs()) return found.principal;
      held.delete(hash);
      return undefined;
    },
    /** Counts from before the look-up; what changed meanwhile is not remembered. */
    set: (hash: string, record: KeyRecord, asOf: { generation: number; ms: number }) => {
      const principal = principalOf(record);
      if (asOf.generation === generation) {
        const full = held.size >= (deps.maxEntries ?? DEFAULT_ENTRIES);
        const oldest = full ? held.keys().next().value : undefined;
        if (oldest !== undefined) held.delete(oldest);
        const validUntilMs = Math.min(asOf.ms + ttlMs, record.expiresAtMs ?? Infinity);
        held.set(hash, { principal, keyId: record.keyId, validUntilMs });
      }
      return principal;
    },
  };
}

/**
 * Turns an Authorization header into a principal, or says why it proves nobody. Roles are read at each look-up, so a
 * key never exceeds what its owner holds now; a revoked key is refused at the notice, and after 5 s without one.
 * A remembered key costs one hash and one map look-up.
 * @throws STORE_UNAVAILABLE where the store cannot be asked
 */
export function createAuthenticator(
  deps: AuthenticatorDeps,
): (header: string | undefined) => Promise<Principal | AuthFailure> {
  const memory = createMemory(deps);
  const asked = new Map<string, Promise<Principal | AuthFailure>>();
  const ask = async (hash: string, text: string): Promise<Principal | AuthFailure> => {
    const asOf = { generation: memory.generation(), ms: deps.nowMs() };
    const key = parseApiKey(text);
    if (key === undefined) return 'malformed';
    const result = await prove(deps, key);
    return 'failure' in result ? result.failure : memory.set(hash, result.record, asOf);
  };
  return async (header) => {
    if (header === undefined || header === '') return 'missing';
    const text = header.length > MAX_HEADER_CHARACTERS ? undefined : BEARER.exec(header)?.[1];
    if (text === undefined) return 'malformed';
    const hash = sha256Hex(text);
    const known = memory.get(hash);
    if (known !== undefined) return known;
    // Requests that come together share a look-up, unless a notice came between them.
    const question = `${memory.generation()} ${hash}`;
    const running = asked.get(question);
    if (running !== undefined) return running;
    const answer = ask(hash, text).finally(() => asked.delete(question));
    asked.set(question, answer);
    return answer;
  };
}
