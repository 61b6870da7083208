import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import serialise from 'canonicalize';

/** RFC 8785 canonical JSON. Throws on what JSON cannot hold (NaN, functions, undefined at the top). */
export function canonicalJson(value: unknown): string {
  const text = serialise(value);
  if (text === undefined) throw new TypeError('value has no JSON form');
  return text;
}

/** SHA-256 of bytes or of a UTF-8 string, as raw bytes (32). */
export const sha256 = (data: Uint8Array | string): Buffer =>
  createHash('sha256').update(data).digest();

/** SHA-256 as lower-case hex (64 characters). */
export const sha256Hex = (data: Uint8Array | string): string => sha256(data).toString('hex');

/**
 * Digest of a value: `sha256:<hex>` over the domain tag, a zero byte, and RFC 8785 JSON or the raw bytes.
 * The tag keeps digests of different kinds apart even where their contents are equal.
 */
export function digestOf(tag: string, value: unknown): `sha256:${string}` {
  const hash = createHash('sha256').update(tag).update('\0');
  hash.update(value instanceof Uint8Array ? value : canonicalJson(value));
  return `sha256:${hash.digest('hex')}`;
}

/** HMAC-SHA-256 of the concatenated parts, as raw bytes (32). */
export function hmac(key: Uint8Array, ...parts: (Uint8Array | string)[]): Buffer {
  const mac = createHmac('sha256', key);
  for (const part of parts) mac.update(part);
  return mac.digest();
}

/** Constant-time equality of two byte strings; false where lengths differ. */
export const equalSecrets = (a: Uint8Array, b: Uint8Array): boolean =>
  a.length === b.length && timingSafeEqual(a, b);
