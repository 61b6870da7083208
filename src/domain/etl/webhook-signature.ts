import { equalSecrets, hmac } from '../digest.js';
import { PlatformError } from '../errors.js';
import { MINUTE_MS, SECOND_MS } from '../units.js';

// The header names and forms of the Standard Webhooks convention, so that senders need no code of ours.

/** How far the timestamp of a delivery may lie from our clock, either way. */
const WINDOW_MS = 5 * MINUTE_MS;
const SECRET_PREFIX = 'whsec_';

/** A delivery as it arrived: its three headers and the body byte for byte. */
export interface SignedDelivery {
  /** `webhook-id`: the delivery, the same at every redelivery. */
  id: string | undefined;
  /** `webhook-timestamp`: whole seconds since the epoch. */
  timestamp: string | undefined;
  /** `webhook-signature`: one or more `v1,<base64>`, separated by spaces. */
  signature: string | undefined;
  body: Uint8Array;
}

/**
 * The signing key of a source: 32 bytes that follow from the tenant's key, so that no secret is ever a row.
 * @param key a key of the tenant that does not rotate
 */
export const hookKey = (key: Uint8Array, sourceId: string): Uint8Array =>
  hmac(key, 'anneal.etl.hook\0', sourceId);

/** The key as senders are given it: `whsec_<base64>`. */
export const hookSecret = (key: Uint8Array): string =>
  `${SECRET_PREFIX}${Buffer.from(key).toString('base64')}`;

/** The signed part of a delivery. */
interface SignedParts {
  id: string;
  timestamp: string;
  body: Uint8Array;
}

const macOf = (key: Uint8Array, { id, timestamp, body }: SignedParts): Buffer =>
  hmac(key, id, '.', timestamp, '.', body);

/** The value of `webhook-signature` over `id.timestamp.body`. */
export const signDelivery = (key: Uint8Array, delivery: SignedParts): string =>
  `v1,${macOf(key, delivery).toString('base64')}`;

const invalid = (): PlatformError =>
  new PlatformError('SIGNATURE_INVALID', 'The delivery is not signed by this source.');

/** True where one of the signatures is right; all are compared in constant time. */
function isSigned(signatures: string, expected: Uint8Array): boolean {
  let isRight = false;
  for (const each of signatures.split(' ').slice(0, 10)) {
    const [version, encoded] = each.split(',');
    if (version !== 'v1' || encoded === undefined) continue;
    if (equalSecrets(Buffer.from(encoded, 'base64'), expected)) isRight = true;
  }
  return isRight;
}

/**
 * Proves that a delivery comes from who holds the secret, and not from long ago.
 * @param key undefined where there is no such source: the work and the answer are the same
 * @returns the delivery's id
 * @throws SIGNATURE_INVALID, SIGNATURE_EXPIRED more than five minutes from `nowMs`
 */
export function verifyDelivery(
  delivery: SignedDelivery,
  key: Uint8Array | undefined,
  nowMs: number,
): string {
  const { id = '', timestamp = '', signature = '', body } = delivery;
  const expected = macOf(key ?? new Uint8Array(32), { id, timestamp, body });
  const isRight = isSigned(signature, expected);
  const isWellFormed = /^[\x21-\x7e]{1,200}$/.test(id) && /^\d{1,12}$/.test(timestamp);
  if (key === undefined || !isRight || !isWellFormed) throw invalid();
  if (Math.abs(nowMs - Number(timestamp) * SECOND_MS) > WINDOW_MS)
    throw new PlatformError('SIGNATURE_EXPIRED', 'The timestamp of the delivery is too far off.');
  return id;
}
