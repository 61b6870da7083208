import { hmac } from '../digest.js';

/**
 * What a natural key is found by without being stored in clear. Hex, 64 characters.
 * @param key the tenant's id key; never rotates
 */
export const keyHash = (key: Uint8Array, sourceId: string, naturalKey: string): string =>
  hmac(key, 'anneal.etl.key\0', sourceId, '\0', naturalKey).toString('hex');
