import {
  createCipheriv,
  createDecipheriv,
  createSecretKey,
  randomBytes,
  type KeyObject,
} from 'node:crypto';
import { PlatformError } from '../../domain/errors.js';
import type { Secret, Secrets } from '../../domain/secrets.js';

/** Where a sealed value belongs; bound into it, so that it opens nowhere else. */
export interface FieldOwner {
  tenant: string;
  table: string;
  column: string;
  rowId: string;
}

const FORMAT = 1;
const IV_BYTES = 12;
const TAG_BYTES = 16;
const KEY_ID = /^field-v([1-9]\d{0,8})$/;

const unreadable = (internal: string): PlatformError =>
  new PlatformError('INTERNAL', 'A stored value cannot be read.', { internal });

/** No part holds a zero byte, so that the parts cannot run into each other. */
function boundTo({ table, column, rowId, tenant }: FieldOwner): Buffer {
  const parts = [table, column, rowId, tenant];
  if (parts.some((part) => part.includes('\0'))) throw unreadable('a zero byte in the owner');
  return Buffer.from(parts.join('\0'));
}

/** Key objects of keys in use: making one takes three times as long as sealing a page of text. */
const keyObjects = new WeakMap<Secret, KeyObject>();

function keyObjectOf(key: Secret): KeyObject {
  const known = keyObjects.get(key);
  if (known !== undefined) return known;
  const made = createSecretKey(key.reveal());
  keyObjects.set(key, made);
  return made;
}

const IVS_AT_ONCE = 256;
let ivs = Buffer.alloc(0);

/** A fresh random IV; drawn from the system in blocks, each used once. */
function nextIv(): Buffer {
  if (ivs.length === 0) ivs = randomBytes(IV_BYTES * IVS_AT_ONCE);
  const iv = ivs.subarray(0, IV_BYTES);
  ivs = ivs.subarray(IV_BYTES);
  return iv;
}

/**
 * AES-256-GCM over stored fields with the tenant's key. Layout: version byte 1 ‖ length of the key id (1 byte) ‖ key id
 * ‖ IV (12) ‖ tag (16) ‖ ciphertext; associated data: table, column, row id, tenant. Later keys rewrite no row.
 */
export const createFieldCipher = (secrets: Pick<Secrets, 'fieldKey'>) => ({
  encrypt: async (owner: FieldOwner, plain: Uint8Array | string): Promise<Buffer> => {
    const { version, key } = await secrets.fieldKey(owner.tenant);
    const keyId = Buffer.from(`field-v${version}`);
    const iv = nextIv();
    const cipher = createCipheriv('aes-256-gcm', keyObjectOf(key), iv, {
      authTagLength: TAG_BYTES,
    });
    cipher.setAAD(boundTo(owner));
    const body = typeof plain === 'string' ? cipher.update(plain, 'utf8') : cipher.update(plain);
    // The last block of a stream cipher is empty; asking for it makes the tag.
    cipher.final();
    const sealed = Buffer.allocUnsafe(2 + keyId.length + IV_BYTES + TAG_BYTES + body.length);
    sealed[0] = FORMAT;
    sealed[1] = keyId.length;
    let at = 2;
    for (const part of [keyId, iv, cipher.getAuthTag(), body]) at += part.copy(sealed, at);
    return sealed;
  },

  /** @throws INTERNAL for another owner, another key, a changed byte or an unknown layout */
  decrypt: async (owner: FieldOwner, sealed: Uint8Array): Promise<Buffer> => {
    const bytes = Buffer.from(sealed.buffer, sealed.byteOffset, sealed.byteLength);
    const ivAt = 2 + (bytes[1] ?? 0);
    const tagAt = ivAt + IV_BYTES;
    const bodyAt = tagAt + TAG_BYTES;
    if (bytes[0] !== FORMAT || bytes.length < bodyAt) throw unreadable('unknown field layout');
    const version = KEY_ID.exec(bytes.toString('latin1', 2, ivAt))?.[1];
    if (version === undefined) throw unreadable('unknown field key id');
    const { key } = await secrets.fieldKey(owner.tenant, Number(version));
    const decipher = createDecipheriv(
      'aes-256-gcm',
      keyObjectOf(key),
      bytes.subarray(ivAt, tagAt),
      {
        authTagLength: TAG_BYTES,
      },
    );
    decipher.setAAD(boundTo(owner)).setAuthTag(bytes.subarray(tagAt, bodyAt));
    try {
      return Buffer.concat([decipher.update(bytes.subarray(bodyAt)), decipher.final()]);
    } catch (error) {
      throw unreadable(`field ${owner.table}.${owner.column}: ${String(error)}`);
    }
  },
});
