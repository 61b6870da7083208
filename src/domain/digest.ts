import {
  createHash,
  createHmac,
  createSecretKey,
  hash as hashOnce,
  timingSafeEqual,
  type KeyObject,
} from 'node:crypto';
import serialise from 'canonicalize';

/** RFC 8785 canonical JSON. Throws on what JSON cannot hold (NaN, functions, undefined at the top). */
export function canonicalJson(value: unknown): string {
  const text = serialise(value);
  if (text === undefined) throw new TypeError('value has no JSON form');
  return text;
}

/** SHA-256 of bytes or of a UTF-8 string, as raw bytes (32). */
export const sha256 = (data: Uint8Array | string): Buffer => hashOnce('sha256', data, 'buffer');

/** SHA-256 as lower-case hex (64 characters). */
export const sha256Hex = (data: Uint8Array | string): string => hashOnce('sha256', data, 'hex');

/**
 * Digest of a value: `sha256:<hex>` over the domain tag, a zero byte, and RFC 8785 JSON or the raw bytes.
 * The tag keeps digests of different kinds apart even where their contents are equal.
 */
export function digestOf(tag: string, value: unknown): `sha256:${string}` {
  const hash = createHash('sha256').update(tag).update('\0');
  hash.update(value instanceof Uint8Array ? value : canonicalJson(value));
  return `sha256:${hash.digest('hex')}`;
}

/** Key objects of keys that are in use: making one takes ten times as long as a short MAC. */
// eslint-disable-next-line no-restricted-syntax -- changes the time a call takes, never its result
const keyObjects = new WeakMap<Uint8Array, KeyObject>();

function keyObjectOf(key: Uint8Array): KeyObject {
  const known = keyObjects.get(key);
  if (known !== undefined) return known;
  const made = createSecretKey(key);
  keyObjects.set(key, made);
  return made;
}

/**
 * HMAC-SHA-256 of the concatenated parts, as raw bytes (32).
 * @param key never changed in place: its key object is kept as long as the array is
 */
export function hmac(key: Uint8Array, ...parts: (Uint8Array | string)[]): Buffer {
  const mac = createHmac('sha256', keyObjectOf(key));
  for (const part of parts) mac.update(part);
  return mac.digest();
}

/** Constant-time equality of two byte strings; false where lengths differ. */
export const equalSecrets = (a: Uint8Array, b: Uint8Array): boolean =>
  a.length === b.length && timingSafeEqual(a, b);
