import { z } from 'zod';
import {
  collectionIdSchema,
  generationIdSchema,
  nameSchema,
  scanIdSchema,
  sourceIdSchema,
} from '../ids.js';
import { defaultPiiPolicy, piiPolicySchema } from '../pii/contract.js';
import { purposeSchema } from '../registry/contract.js';
import { isNfc, NFC_ERROR } from '../text-name.js';
import { DAY_MS, SECOND_MS, WHOLE_BP } from '../units.js';
import { scanStates } from './contract.js';

const isSet = (values: readonly string[]): boolean => new Set(values).size === values.length;
/** A list that names nothing twice. */
export const listOf = <T extends z.ZodType<string>>(item: T, max: number) =>
  z.array(item).max(max).refine(isSet, { error: 'names something twice' });
/** ISO 8601, UTC. */
export const timeSchema = z.iso.datetime();
/** Who may read: `public`, `user:<id>` or `group:<name>`. */
export const aclSchema = listOf(
  z
    .string()
    .regex(/^(?:public|(?:user|group):[^\s\p{C}]{1,128})$/u, {
      error: 'is `public`, `user:<id>` or `group:<name>`',
    })
    .refine(isNfc, { error: NFC_ERROR }),
  1_000,
);

/** Sizes of chunks in characters. */
const chunkingSchema = z
  .strictObject({
    targetChars: z.int().min(200).max(8_000).default(1_200),
    maxChars: z.int().min(200).max(10_000).default(1_600),
  })
  .refine((sizes) => sizes.maxChars >= sizes.targetChars, {
    path: ['maxChars'],
    error: 'is smaller than targetChars',
  });

const fusions = ['weighted', 'rrf'] as const;
const bpSchema = z.int().min(0).max(WHOLE_BP);

const lexicalSinkSchema = nameSchema.meta({
  description:
    'The store that answers words. It goes with `sink` (itself, or the companion beside it); another one is refused.',
});

/** Body of `POST /v1/collections`. */
export const createCollectionSchema = z.strictObject({
  name: nameSchema,
  embedder: nameSchema.default('hash-384'),
  sink: nameSchema.default('lancedb'),
  lexicalSink: lexicalSinkSchema.optional(),
  chunking: chunkingSchema.default({ targetChars: 1_200, maxChars: 1_600 }),
  piiPolicy: piiPolicySchema.default(defaultPiiPolicy),
  /** Holds for documents whose source says nothing. */
  aclDefault: aclSchema.default([]),
  purposes: listOf(purposeSchema, 100).min(1),
  autoFlip: z.boolean().default(true),
});
export type CreateCollection = z.infer<typeof createCollectionSchema>;

/**
 * Body of `PATCH /v1/collections/{id}`. Who reads documents whose source says nothing is settled when the collection is made:
 * it is written into every document, and the sources decide from then on.
 */
export const changeCollectionSchema = z
  .strictObject({
    chunking: chunkingSchema.optional(),
    piiPolicy: piiPolicySchema.optional(),
    fusion: z.enum(fusions).optional(),
    /** Weight of the lexical leg; null: the embedder's own. */
    alphaBp: bpSchema.nullable().optional(),
    purposes: listOf(purposeSchema, 100).min(1).optional(),
    autoFlip: z.boolean().optional(),
  })
  .refine((change) => Object.keys(change).length > 0, { error: 'names nothing to change' });
export type ChangeCollection = z.infer<typeof changeCollectionSchema>;

/** Body of `POST /v1/collections/{id}:reembed`. */
export const reembedSchema = z.strictObject({
  embedder: nameSchema,
  sink: nameSchema.optional(),
  lexicalSink: lexicalSinkSchema.optional(),
  gate: z
    .strictObject({
      evalSetId: z.string().max(64).optional(),
      /** Loss of nDCG@10 that is accepted, in basis points. */
      epsilonBp: bpSchema.default(100),
    })
    .default({ epsilonBp: 100 }),
  holdMs: z
    .int()
    .min(0)
    .max(90 * DAY_MS)
    .default(7 * DAY_MS),
});
export type Reembed = z.infer<typeof reembedSchema>;

/** Body of `POST /v1/collections/{id}:rollback`. */
export const rollbackSchema = z.strictObject({
  generationId: generationIdSchema,
  reason: z.string().min(1).max(1_000),
});
/** Body of `POST /v1/collections/{id}:reconcile`; the live generation unless named. */
export const reconcileSchema = z.strictObject({ generationId: generationIdSchema.optional() });

const generationViewSchema = z.object({
  id: generationIdSchema,
  embedder: z.string(),
  embedFp: z.string(),
  dims: z.int(),
  sink: z.string(),
  lexicalSink: z.string().optional(),
  state: z.enum(['BUILDING', 'LIVE', 'HOLDING', 'DROPPED']),
  outcome: z.unknown().optional(),
  driftedAt: timeSchema.optional(),
  holdUntil: timeSchema.optional(),
  createdAt: timeSchema,
});

/** A fit that is no generation yet, or never will be. */
const fitViewSchema = z.object({
  id: z.string(),
  /** What it is fitted for. */
  generationId: generationIdSchema,
  embedder: z.string(),
  state: z.enum(['RUNNING', 'FAILED']),
  code: z.string().optional(),
  createdAt: timeSchema,
});

const reconcileViewSchema = z.object({
  id: z.string(),
  generationId: z.string(),
  state: z.string(),
  orphanRows: z.int(),
  missingRows: z.int(),
  staleRows: z.int(),
  createdAt: timeSchema,
  endedAt: timeSchema.optional(),
});

const probeViewSchema = z.object({
  /** Recall@10 against exact search in basis points; below 9,500 is low. */
  recallBp: z.int(),
  /** Probes in a row that were low. */
  lowInARow: z.int(),
  probedAt: timeSchema,
});

export const collectionViewSchema = z
  .object({
    id: collectionIdSchema,
    name: nameSchema,
    pipeline: z.object({
      chunking: z.object({ targetChars: z.int(), maxChars: z.int() }),
      piiPolicy: z.record(z.string(), z.unknown()),
    }),
    fusion: z.enum(fusions),
    alphaBp: z.int().optional(),
    aclDefault: z.array(z.string()),
    purposes: z.array(z.string()),
    autoFlip: z.boolean(),
    liveGenerationId: generationIdSchema.optional(),
    generationEpoch: z.int(),
    /** Newest first; dropped ones are left out. */
    generations: z.array(generationViewSchema),
    /** The newest fit of an embedder on this collection, unless it is done. */
    fit: fitViewSchema.optional(),
    counts: z.object({
      sources: z.int(),
      documents: z.int(),
      indexed: z.int(),
      hidden: z.int(),
      quarantined: z.int(),
    }),
    freshness: z.object({
      oldestUnappliedMs: z.int(),
      lastCompleteScanAt: timeSchema.optional(),
    }),
    /** Of the live generation. */
    lastReconcile: reconcileViewSchema.optional(),
    /** Of the live generation: how much of the exact answer its index finds. */
    lastProbe: probeViewSchema.optional(),
    createdBy: z.string(),
    createdAt: timeSchema,
    updatedAt: timeSchema,
  })
  .meta({ id: 'Collection' });
export type CollectionView = z.infer<typeof collectionViewSchema>;

/** Answer of `PATCH /v1/collections/{id}`. */
export const changedCollectionSchema = z.object({
  collection: collectionViewSchema,
  /** Documents that are processed again because of this change: pushed ones, and those of sources that are scanned now. */
  documentsAffected: z.int(),
  /** Scans that were started for it. */
  scans: z.array(z.string()),
});
export type ChangedCollection = z.infer<typeof changedCollectionSchema>;

const csvSchema = z.strictObject({
  /** A document per row, named by this column; without it the table is cut into groups of rows. */
  keyColumn: z.string().min(1).max(200).optional(),
  titleColumn: z.string().min(1).max(200).optional(),
});
const reading = { csv: csvSchema.optional() };

/** Kinds of source that list what they have; the others are told. */
const pullKinds = ['folder'] as const;
const sourceKinds = [...pullKinds, 'upload', 'webhook'] as const;
export type SourceKind = (typeof sourceKinds)[number];
export const isPullKind = (kind: string): boolean =>
  (pullKinds as readonly string[]).includes(kind);

/** What each kind of source is configured with. */
export const sourceConfigSchemas = {
  folder: z.strictObject({ path: z.string().min(1).max(4_096).startsWith('/'), ...reading }),
  upload: z.strictObject({}),
  webhook: z.strictObject({}),
} as const satisfies Record<SourceKind, z.ZodType>;

const everyMsSchema = z
  .int()
  .min(10 * SECOND_MS)
  .max(31 * DAY_MS);

/** Body of `POST /v1/sources`; `config` is checked by its kind. */
export const createSourceSchema = z.strictObject({
  collectionId: collectionIdSchema,
  name: nameSchema,
  kind: z.enum(sourceKinds),
  config: z.record(z.string(), z.json()).default({}),
  /** Of a secret that an operator has configured. */
  connectionId: nameSchema.optional(),
  /** Scans by themselves; pull sources only. A folder is scanned every minute unless said otherwise. */
  schedule: z.strictObject({ everyMs: everyMsSchema }).nullable().optional(),
  acl: aclSchema.default([]),
  erasureMode: z.enum(['delete', 'redact']).default('delete'),
  retainRaw: z.boolean().optional().meta({
    description:
      'True for kinds that are pushed, whose bytes cannot be read again, false for folders; anything else is refused.',
  }),
  deleteGuardBp: bpSchema.default(2_000),
});
export type CreateSource = z.infer<typeof createSourceSchema>;

export const sourceStates = ['ACTIVE', 'PAUSED', 'FAILED', 'DELETING', 'DELETED'] as const;
export const deleteModes = ['keep', 'delete_documents'] as const;
export type DeleteMode = (typeof deleteModes)[number];

const lagSchema = z.object({ p50Ms: z.int(), p95Ms: z.int(), p99Ms: z.int(), changes: z.int() });

export const sourceViewSchema = z
  .object({
    id: sourceIdSchema,
    collectionId: collectionIdSchema,
    name: z.string(),
    kind: z.enum(sourceKinds),
    config: z.record(z.string(), z.unknown()),
    connectionId: z.string().optional(),
    acl: z.array(z.string()),
    state: z.enum(sourceStates),
    stateReason: z.string().optional(),
    everyMs: z.int().optional(),
    erasureMode: z.enum(['delete', 'redact']),
    retainRaw: z.boolean(),
    deleteGuardBp: z.int(),
    workflowId: z.string(),
    backlog: z.object({ pending: z.int(), claimed: z.int(), oldestUnappliedMs: z.int() }),
    /** Received to applied, of the changes applied in the last 24 hours. */
    lag: lagSchema,
    documents: z.int(),
    quarantined: z.int(),
    runningScanId: z.string().optional(),
    lastCompleteScanAt: timeSchema.optional(),
    createdBy: z.string(),
    createdAt: timeSchema,
    updatedAt: timeSchema,
  })
  .meta({ id: 'Source' });
export type SourceView = z.infer<typeof sourceViewSchema>;

/** Answer of `GET /v1/sources/{id}`: with the run that watches it, in the Temporal Web UI. */
export const watchedSourceSchema = sourceViewSchema.extend({
  links: z.object({ temporalUi: z.string() }),
});

/** Answer of `POST /v1/sources`: where a webhook delivers to, and what it signs with. */
export const createdSourceSchema = sourceViewSchema.extend({
  hook: z.object({ path: z.string(), secret: z.string() }).optional(),
});

export const scanViewSchema = z
  .object({
    id: scanIdSchema,
    sourceId: sourceIdSchema,
    state: z.enum(scanStates),
    complete: z.boolean(),
    counts: z.unknown().optional(),
    reason: z.string().optional(),
    decision: z.unknown().optional(),
    workflowId: z.string(),
    expiresAt: timeSchema.optional(),
    requestedBy: z.string(),
    createdAt: timeSchema,
    endedAt: timeSchema.optional(),
  })
  .meta({ id: 'Scan' });
export type ScanView = z.infer<typeof scanViewSchema>;

/** Body of `POST /v1/scans/{id}:decide`. */
export const decideScanSchema = z.strictObject({
  decision: z.enum(['apply', 'discard']),
  reason: z.string().min(1).max(1_000),
});
export type DecideScan = z.infer<typeof decideScanSchema>;
/** What a person decided about a mass deletion. */
export const scanDecisionSchema = decideScanSchema.extend({
  scanId: scanIdSchema,
  decidedBy: z.string(),
  decidedAt: timeSchema,
});
export type ScanDecision = z.infer<typeof scanDecisionSchema>;
