import { z } from 'zod';
import {
  collectionIdSchema,
  documentIdSchema,
  quarantineItemIdSchema,
  sourceIdSchema,
} from '../ids.js';
import { textNameSchema } from '../text-name.js';
import { quarantineReasons, type QuarantineReason } from './gates.js';
import { mediaTypes } from './media-types.js';
import { aclSchema, listOf, timeSchema } from './collection-view.js';

/** Largest document in bytes. */
export const MAX_DOCUMENT_BYTES = 64 * 1024 * 1024;
/** Largest metadata of a document as JSON, in bytes. */
const MAX_METADATA_BYTES = 8_192;

const metadataSchema = z
  .record(z.string().min(1).max(100), z.json())
  .refine((value) => new TextEncoder().encode(JSON.stringify(value)).length <= MAX_METADATA_BYTES, {
    error: 'is larger than 8 KiB as JSON',
  });

/** Options of `PUT /v1/sources/{id}/documents`, beside the file. */
export const pushDocumentSchema = z.strictObject({
  key: textNameSchema(1_000),
  /** Else the content type of the file, else the end of its name. */
  mediaType: z.enum(mediaTypes).optional(),
  title: z.string().min(1).max(500).optional(),
  acl: aclSchema.min(1).optional(),
  metadata: metadataSchema.optional(),
  /** People whom the document is about, by the identifiers that erasure requests will name. */
  subjects: listOf(z.string().min(1).max(500), 1_000).optional(),
});
export type PushDocument = z.infer<typeof pushDocumentSchema>;

/** A message of a webhook: content or where it is, a deletion, or new access for what is there. */
export const pushMessageSchema = pushDocumentSchema
  .extend({
    content: z.string().max(262_144).optional(),
    url: z
      .url({ protocol: /^https?$/ })
      .max(2_000)
      .optional(),
    deleted: z.literal(true).optional(),
    /** Order of the source; a lower one never replaces a higher one. */
    seq: z.union([z.int().min(0), z.string().regex(/^\d{1,18}$/)]).optional(),
    changedAt: timeSchema.optional(),
  })
  .superRefine((message, context) => {
    const given = (['content', 'url', 'deleted'] as const).filter((name) => name in message);
    const [, second] = given;
    if (second !== undefined)
      context.addIssue({ code: 'custom', path: [second], message: `excludes ${given[0]}` });
    if (given.length === 0 && message.acl === undefined)
      context.addIssue({
        code: 'custom',
        path: ['content'],
        message: 'content, url, deleted or acl is needed',
      });
  });
export type PushMessage = z.infer<typeof pushMessageSchema>;

/** Answer to a recorded change: `after` of a query waits for it. */
export const recordedSchema = z
  .object({ changeToken: z.string(), recorded: z.int() })
  .meta({ id: 'RecordedChange' });
export type Recorded = z.infer<typeof recordedSchema>;

const heldSchema = z.object({
  itemId: z.string(),
  stage: z.string(),
  reason: z.string(),
  evidence: z.unknown(),
  since: timeSchema,
});

const documentStates = ['PENDING', 'INDEXED', 'STALE', 'HIDDEN', 'DELETED'] as const;
export const documentSummarySchema = z.object({
  id: documentIdSchema,
  /** Path, key or URL that the source knows it by. */
  key: z.string(),
  sourceId: sourceIdSchema,
  collectionId: collectionIdSchema,
  state: z.enum(documentStates),
  revision: z.int().optional(),
  hiddenReason: z.string().optional(),
  staleSince: timeSchema.optional(),
  deletedAt: timeSchema.optional(),
  updatedAt: timeSchema,
});
export type DocumentSummary = z.infer<typeof documentSummarySchema>;

export const documentViewSchema = documentSummarySchema
  .extend({
    acl: z.array(z.string()),
    deniedPurposes: z.array(z.string()),
    sourceToken: z.string().optional(),
    hashes: z.record(z.string(), z.string().optional()),
    fingerprints: z.record(z.string(), z.string().optional()),
    /** Of the live revision; places are UTF-16 units of its text. */
    chunks: z.array(
      z.object({
        id: z.string(),
        start: z.int(),
        end: z.int(),
        page: z.int().optional(),
        embedTextHash: z.string(),
      }),
    ),
    generations: z.array(
      z.object({
        generationId: z.string(),
        revision: z.int(),
        rows: z.int(),
        /** Chunks without a row, because there is nothing in them to embed. */
        unindexed: z.int(),
      }),
    ),
    /** Newest first. */
    revisions: z.array(
      z.object({
        revision: z.int(),
        state: z.string(),
        mediaType: z.string(),
        findings: z.unknown().optional(),
        createdAt: timeSchema,
        supersededAt: timeSchema.optional(),
      }),
    ),
    /** The last changes that came in for it, newest first. */
    lineage: z.array(
      z.object({
        changeId: z.string(),
        kind: z.string(),
        sourceVersion: z.string(),
        state: z.string(),
        receivedAt: timeSchema,
        appliedAt: timeSchema.optional(),
      }),
    ),
    whyNotIndexed: heldSchema.optional(),
  })
  .meta({ id: 'Document' });
export type DocumentView = z.infer<typeof documentViewSchema>;

export const spanSchema = z.object({
  documentId: documentIdSchema,
  revision: z.int(),
  start: z.int(),
  end: z.int(),
  unit: z.literal('utf16'),
  title: z.string(),
  text: z.string(),
  /** Whether this is the live revision. */
  current: z.boolean(),
});

export const quarantineStates = ['OPEN', 'RETRIED', 'RELEASED', 'DISCARDED', 'RESOLVED'] as const;
export const quarantineViewSchema = z
  .object({
    id: quarantineItemIdSchema,
    sourceId: sourceIdSchema,
    collectionId: collectionIdSchema,
    documentId: documentIdSchema,
    /** The document's name in its source: a path, a row's key. */
    key: z.string(),
    revision: z.int().optional(),
    stage: z.string(),
    reason: z.string(),
    /** Offsets and counts, never text. */
    evidence: z.unknown(),
    state: z.enum(quarantineStates),
    releasable: z.boolean(),
    decision: z.unknown().optional(),
    retryAt: timeSchema.optional(),
    createdAt: timeSchema,
    updatedAt: timeSchema,
  })
  .meta({ id: 'QuarantineItem' });
export type QuarantineView = z.infer<typeof quarantineViewSchema>;

/** Body of the three decisions about a quarantined document. */
export const quarantineDecisionSchema = z.strictObject({ reason: z.string().min(1).max(1_000) });
export type QuarantineVerb = 'retry' | 'release' | 'discard';

/** Whether a person may let a document through as it is: never where access is in doubt. */
export function isReleasable(reason: string): boolean {
  if (!Object.hasOwn(quarantineReasons, reason)) return false;
  const rule = quarantineReasons[reason as QuarantineReason];
  return rule.releasable && rule.kind === 'content';
}
