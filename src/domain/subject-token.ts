import { base32 } from './base32.js';
import { hmac } from './digest.js';
import type { KeyVersion } from './secrets.js';

const TOKEN_CHARACTERS = 26;

/**
 * The token that stands for a person: `p<key version>_` and 26 lower-case base 32 characters (130 bits) of
 * HMAC-SHA-256(pseudonym key, 'subject' ‖ 0x00 ‖ identifier in NFC) (reliability.md §5). One per person and tenant, across
 * purposes; still personal data while the key exists.
 * @param pseudonym the tenant's pseudonym key
 * @param identifier what the caller knows the person by; how its accents are encoded makes no difference
 */
export const subjectToken = (pseudonym: KeyVersion, identifier: string): string =>
  `p${pseudonym.version}_${base32(
    hmac(pseudonym.key.reveal(), 'subject', '\0', identifier.normalize('NFC')),
  ).slice(0, TOKEN_CHARACTERS)}`;
