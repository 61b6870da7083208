import { base32 } from '../base32.js';
import { hmac, sha256 } from '../digest.js';
import { envSchema, idPrefixes, type Env } from '../ids.js';
import type { KeyVersion } from '../secrets.js';

const SECRET_BYTES = 32;
const CHECKSUM_CHARACTERS = 6;
const SHAPE = /^(anneal_([a-z]+)_([0-9A-HJKMNP-TV-Z]{26})_([a-z2-7]{52}))_([a-z2-7]{6})$/;

/** The parts of a well-formed API key. Nothing of it is proved yet. */
export interface ParsedApiKey {
  env: Env;
  /** The id of the key's row, `key_…`. */
  keyId: string;
  /** 52 base 32 characters: the 32 secret bytes. */
  secret: string;
}

/** The first 6 base 32 characters (30 bits) of SHA-256 over all that stands before the last underscore. */
const checksumOf = (head: string): string => base32(sha256(head)).slice(0, CHECKSUM_CHARACTERS);

/** The part that may be shown and searched for: `anneal_<env>_<id>`. */
export const apiKeyPrefix = (env: string, keyId: string): string =>
  `anneal_${env}_${keyId.slice(idPrefixes.apiKey.length + 1)}`;

/**
 * Builds an API key: `anneal_<env>_<id>_<secret>_<checksum>`, where `<id>` is the key id without its type prefix. The
 * checksum tells a typo, and a secret scanner a find, without a look-up.
 * @param keyId `key_…`
 * @param random exactly 32 random bytes
 */
export function formatApiKey(env: Env, keyId: string, random: Uint8Array): string {
  if (random.length !== SECRET_BYTES) throw new RangeError('an API key takes 32 random bytes');
  const head = `${apiKeyPrefix(env, keyId)}_${base32(random)}`;
  return `${head}_${checksumOf(head)}`;
}

/** Takes a key apart; undefined where the form or the checksum is wrong. */
export function parseApiKey(text: string): ParsedApiKey | undefined {
  const [, head, env, id, secret, checksum] = SHAPE.exec(text) ?? [];
  const known = envSchema.safeParse(env);
  if (head === undefined || secret === undefined || id === undefined || !known.success) {
    return undefined;
  }
  if (checksumOf(head) !== checksum) return undefined;
  return { env: known.data, keyId: `${idPrefixes.apiKey}_${id}`, secret };
}

/** What is stored of a secret: HMAC-SHA-256 under the pepper, 32 bytes. */
export const hashApiKeySecret = (pepper: KeyVersion, secret: string): Buffer =>
  hmac(pepper.key.reveal(), 'api-key', '\0', secret);
