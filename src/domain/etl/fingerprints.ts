import { digestOf, hmac, sha256Hex } from '../digest.js';
import type { RevisionText } from './document.js';
import { parserVersions, type MediaType } from './media-types.js';

// A tag and a zero byte open every hash, and zero bytes part its fields: two kinds never collide, no field runs into the next.

export type Fingerprint = `sha256:${string}`;

/** Raised when what `cleanText` makes of a text changes. */
const CLEANER_VERSION = 1;

/** Raised when what `chunkText` makes of a revision changes; its sizes are counted apart. */
const CHUNKER_VERSION = 1;

/**
 * A UUID of version 8 (RFC 9562 §5.8): the first 128 bits of a hash with version and variant bits set.
 * @param hash hexadecimal, at least 32 characters, lower case
 */
export function uuid8(hash: string): string {
  const variant = (8 + (Number.parseInt(hash.charAt(16), 16) & 3)).toString(16);
  return `${hash.slice(0, 8)}-${hash.slice(8, 12)}-8${hash.slice(13, 16)}-${variant}${hash.slice(17, 20)}-${hash.slice(20, 32)}`;
}

/**
 * Id of a document. Keyed, because a natural key may be a file name or an address and ids reach third parties.
 * @param key the tenant's id key; never rotates
 */
export const docId = (key: Uint8Array, sourceId: string, naturalKey: string): string =>
  uuid8(hmac(key, 'anneal.etl.doc\0', sourceId, '\0', naturalKey).toString('hex'));

/**
 * Id of a chunk: content and place among equals, so that an edit elsewhere leaves it alone.
 * @param occurrence 0 for the first chunk of the revision with this `embedTextHash`, 1 for the next, and so on
 */
export const chunkId = (docId: string, embedTextHash: Fingerprint, occurrence: number): string =>
  uuid8(sha256Hex(`anneal.etl.chunk\0${docId}\0${embedTextHash}\0${occurrence}`));

/**
 * Key of a row in a sink.
 * @param rev the revision of the document that first wrote the row (≥ 1)
 */
export const rowId = (generationId: string, chunkId: string, rev: number): string =>
  uuid8(sha256Hex(`anneal.etl.row\0${generationId}\0${chunkId}\0${rev}`));

const hashOf = (tag: string, text: string): Fingerprint => `sha256:${sha256Hex(`${tag}\0${text}`)}`;

/** Hash of the bytes as they were fetched. */
export const rawHash = (bytes: Uint8Array): Fingerprint => digestOf('anneal.etl.raw', bytes);

/**
 * Hash of the scrubbed text of a revision with everything beside it that chunks are made of: title, headings, table
 * headers, pages. A heading that only changes its level changes heading paths, so it is a new revision.
 */
export function textHash({ title, text, blocks }: RevisionText): Fingerprint {
  const places = blocks.map(
    ({ kind, start, end, level, page, row, header }) =>
      `${kind} ${start} ${end} ${level ?? ''} ${page ?? ''} ${row ?? ''} ${header ?? ''}`,
  );
  return hashOf('anneal.etl.text', `${title}\0${text}\0${places.join('\0')}`);
}

/** Hash of the text of a chunk as it is embedded; part of the memo's key. */
export const embedTextHash = (embedText: string): Fingerprint =>
  hashOf('anneal.etl.embed-text', embedText);

/** Hash of the metadata of a document: the whole nested value. */
export const metaHash = (metadata: Readonly<Record<string, unknown>>): Fingerprint =>
  digestOf('anneal.etl.meta', metadata);

/** Hash of who may read a document and for which purposes it may not be read. Order and repetition do not count. */
export const aclHash = (access: {
  acl: readonly string[];
  deniedPurposes: readonly string[];
}): Fingerprint =>
  digestOf('anneal.etl.acl', {
    acl: [...new Set(access.acl)].sort(),
    deniedPurposes: [...new Set(access.deniedPurposes)].sort(),
  });

/**
 * Fingerprint of everything that makes text of bytes, per media type.
 * @param pii version of the PII policy and id of the key of its pseudonyms, as the policy module names them
 */
export const parseFp = (
  mediaType: MediaType,
  pii: { policyVersion: string; keyId: string },
): Fingerprint =>
  digestOf('anneal.etl.parse-fp', {
    mediaType,
    parser: parserVersions[mediaType],
    cleaner: CLEANER_VERSION,
    piiPolicy: pii.policyVersion,
    piiKey: pii.keyId,
  });

/** Fingerprint of everything that makes chunks of text: sizes in UTF-16 units, tokens where a guard is set. */
export const chunkFp = (chunking: {
  target: number;
  max: number;
  tokens?: { tokenizer: string; max: number } | undefined;
}): Fingerprint =>
  digestOf('anneal.etl.chunk-fp', {
    chunker: CHUNKER_VERSION,
    target: chunking.target,
    max: chunking.max,
    tokenizer: chunking.tokens?.tokenizer ?? 'none',
    maxTokens: chunking.tokens?.max ?? 0,
  });

/** Fingerprint of the whole way from bytes to chunks: what rung 1 of the change ladder compares. */
export const pipelineFp = (parse: Fingerprint, chunk: Fingerprint): Fingerprint =>
  digestOf('anneal.etl.pipeline-fp', { parse, chunk });
