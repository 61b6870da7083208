import { base32 } from '../base32.js';
import { hmac } from '../digest.js';

/** Base 32 characters of a pseudonym, 50 bits: a tenant with a million values meets a collision with p < 0.1 %. */
const LENGTH = 10;

/**
 * Pseudonyms of one tenant: `KIND_` and 10 base 32 characters of HMAC-SHA-256 over kind and normalised value. The same
 * value gets the same pseudonym as long as the key is the same; without the key it cannot be guessed and tried.
 *
 * @param key secret of the tenant, 32 bytes
 */
export const createPseudonym =
  (key: Uint8Array): ((kind: string, normalisedValue: string) => string) =>
  (kind, normalisedValue) =>
    `${kind}_${base32(hmac(key, kind, '\0', normalisedValue)).slice(0, LENGTH)}`;
