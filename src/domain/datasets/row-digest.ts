import { digestOf } from '../digest.js';
import type { FieldValue } from './field-check.js';

/**
 * Digest of a stored row: `sha256:<hex>` over the tag `anneal.dataset.row`, a zero byte, and the RFC 8785 JSON of
 * the list of its values in contract field order. Equal rows have equal digests in every snapshot with those fields.
 */
export const rowDigest = (row: readonly FieldValue[]): `sha256:${string}` =>
  digestOf('anneal.dataset.row', row);
