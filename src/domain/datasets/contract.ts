// A publication:
// RECEIVED → PROFILING → VALIDATING → STAGED → PUBLISHED. Above its limit of rejected rows it goes STAGED →
// QUARANTINED, and a steward releases it (→ PUBLISHED) or discards it (→ DISCARDED, as does the end of its time). From
// any of the states before PUBLISHED it may end as FAILED or CANCELLED. Rows are validated, checked for consent and
// redacted in one pass, which shows as VALIDATING; a legal basis that needs no consent has nothing to filter.
import { z } from 'zod';
import { contractIdSchema, digestSchema } from '../ids.js';
import { purposeSchema, riskClasses } from '../registry/contract.js';
import { textNameSchema } from '../text-name.js';
import { DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS, WHOLE_BP } from '../units.js';
import { datasetContractSchema } from './dataset-contract.js';
import { piiPolicySchema } from './staging.js';
import { tableFormatSchema } from './table-format.js';

export const publicationStates = [
  'RECEIVED',
  'PROFILING',
  'VALIDATING',
  'FILTERING_CONSENT',
  'REDACTING',
  'STAGED',
  'QUARANTINED',
  'PUBLISHED',
  'DISCARDED',
  'FAILED',
  'CANCELLED',
] as const;
export type PublicationState = (typeof publicationStates)[number];

/** States that a publication never leaves. */
const finalPublicationStates = ['PUBLISHED', 'DISCARDED', 'FAILED', 'CANCELLED'] as const;
export type FinalPublicationState = (typeof finalPublicationStates)[number];
export const isFinalPublicationState = (state: string): state is FinalPublicationState =>
  (finalPublicationStates as readonly string[]).includes(state);

/** True where the publication is over or waits for a person: a caller who waits has nothing left to wait for. */
export const isPublicationSettled = (state: string): boolean =>
  state === 'QUARANTINED' || isFinalPublicationState(state);

/** Only LIVE may be trained on. */
const snapshotStates = ['LIVE', 'STALE_CONSENT', 'TOMBSTONED', 'EXPIRED', 'DELETED'] as const;

const legalBases = ['consent', 'contract', 'legal_obligation', 'legitimate_interest'] as const;

const purposesSchema = z
  .array(purposeSchema)
  .min(1)
  .max(100)
  .refine((purposes) => new Set(purposes).size === purposes.length, {
    error: 'names a purpose twice',
  });

/** Body of `PUT /v1/datasets/{name}`. */
export const putDatasetSchema = z.strictObject({
  title: textNameSchema(200),
  purposes: purposesSchema,
  legalBasis: z.enum(legalBases).refine((basis) => basis !== 'consent', {
    error: 'consent is not offered yet: this installation keeps no record of consents',
  }),
  retentionDays: z.int().min(1).max(36_500),
  riskClass: z.enum(riskClasses).default('medium'),
});
export type PutDataset = z.infer<typeof putDatasetSchema>;

export const datasetViewSchema = z
  .object({
    name: z.string(),
    title: z.string(),
    purposes: z.array(z.string()),
    legalBasis: z.enum(legalBases),
    retentionDays: z.int(),
    riskClass: z.enum(riskClasses),
    currentSnapshotId: digestSchema
      .optional()
      .meta({ description: 'The snapshot published last.' }),
    /** Moves of the pointer so far. */
    epoch: z.int(),
    createdBy: z.string(),
    createdAt: z.iso.datetime(),
    updatedAt: z.iso.datetime(),
  })
  .meta({ id: 'Dataset' });
export type DatasetView = z.infer<typeof datasetViewSchema>;

export const datasetContractViewSchema = z
  .object({
    id: contractIdSchema,
    dataset: z.string(),
    contract: datasetContractSchema,
    digest: digestSchema,
    createdBy: z.string(),
    createdAt: z.iso.datetime(),
  })
  .meta({ id: 'DatasetContract' });
export type DatasetContractView = z.infer<typeof datasetContractViewSchema>;

const maxRejectShareBpSchema = z
  .int()
  .min(0)
  .max(WHOLE_BP)
  .default(200)
  .meta({ description: 'Share of rejected rows, in basis points, above which the batch waits.' });

/** Field `options` of the upload: how the file is written and what becomes of it. */
export const publicationOptionsSchema = z.strictObject({
  source: tableFormatSchema.extend({
    digest: digestSchema
      .optional()
      .meta({ description: 'Digest of the file; another one is refused.' }),
  }),
  contractId: contractIdSchema
    .optional()
    .meta({ description: 'The newest contract of the data set by default.' }),
  purposes: purposesSchema
    .optional()
    .meta({ description: 'Among those of the data set; all of them by default.' }),
  pii: piiPolicySchema.optional(),
  maxRejectShareBp: maxRejectShareBpSchema,
  mode: z.literal('full', { error: 'only whole files are published so far' }).default('full'),
});
export type PublicationOptions = z.infer<typeof publicationOptionsSchema>;

/** What was decided before the start, with every default filled in. Stored with the publication. */
export const publicationPlanSchema = publicationOptionsSchema.extend({
  contractId: contractIdSchema,
  purposes: z.array(z.string()),
  legalBasis: z.enum(legalBases),
  riskClass: z.enum(riskClasses),
});
export type PublicationPlan = z.infer<typeof publicationPlanSchema>;

/** Thresholds and durations of a publication, as its workflow gets them. */
export interface PublicationLimits {
  /** Silence after which an attempt counts as lost. */
  heartbeatTimeoutMs: number;
  /** Longest single attempt at reading the file, and at writing the parts. */
  stageTimeoutMs: number;
  /** Longest time for either of them over all attempts; waiting for a steward is not part of it. */
  workTimeoutMs: number;
  /** Time of a steward to decide on a quarantined batch. */
  quarantineMs: number;
  /** Attempts of each stage before an infrastructure failure is final. */
  maxAttempts: number;
  /** Pause before the second attempt; it doubles, at most 60 s. */
  retryIntervalMs: number;
  /** Rows per part; changes the parts, never the snapshot id. */
  partRows: number;
  /** Rejected rows that are listed one by one; counts per rule are exact beyond. */
  maxListedRejects: number;
}
export const defaultPublicationLimits: PublicationLimits = {
  heartbeatTimeoutMs: 30 * SECOND_MS,
  stageTimeoutMs: 60 * MINUTE_MS,
  workTimeoutMs: 6 * HOUR_MS,
  quarantineMs: 7 * DAY_MS,
  maxAttempts: 10,
  retryIntervalMs: SECOND_MS,
  partRows: 50_000,
  maxListedRejects: 10_000,
};

/** Input of `publishSnapshot`: ids and limits; everything else is read from the publication's row. */
export interface PublishSnapshotInput {
  tenant: string;
  publicationId: string;
  dataset: string;
  maxRejectShareBp: number;
  limits: PublicationLimits;
}

/** How a publication ended, as its workflow returns it. */
export interface PublishSnapshotResult {
  publicationId: string;
  state: FinalPublicationState;
  snapshotId?: string | undefined;
}

/** Id of the workflow of a publication. */
export const publicationWorkflowId = (tenant: string, publicationId: string): string =>
  `snapshot/${tenant}/${publicationId}`;

const ruleCountSchema = z.object({
  field: z.string().meta({ description: 'Empty for the row as a whole.' }),
  rule: z.string(),
  severity: z.enum(['reject', 'warn']),
  count: z.int(),
});

/** What the first stage counted; exact, whatever is listed row by row. */
export const publicationCountsSchema = z.object({
  total: z.int(),
  valid: z.int(),
  rejected: z.int(),
  imputedValues: z.int(),
  rules: z.array(ruleCountSchema),
  ignoredColumns: z.array(z.string()),
});
export type PublicationCounts = z.infer<typeof publicationCountsSchema>;

/** What a steward, or the end of the time, decided on a quarantined batch. */
const quarantineDecisionSchema = z.object({
  kind: z.enum(['release', 'discard', 'expire']),
  by: z.string(),
  reason: z.string(),
  at: z.iso.datetime(),
});
export type QuarantineDecision = z.infer<typeof quarantineDecisionSchema>;

const publicationFailureSchema = z.object({
  code: z.string(),
  message: z.string(),
  errors: z
    .array(z.object({ pointer: z.string(), code: z.string(), detail: z.string().optional() }))
    .optional(),
});
export type PublicationFailure = z.infer<typeof publicationFailureSchema>;

/** A publication as it is read. */
export const publicationViewSchema = z
  .object({
    id: z.string(),
    dataset: z.string(),
    state: z.enum(publicationStates),
    workflowId: z.string(),
    plan: publicationPlanSchema,
    source: z.object({ digest: digestSchema, sizeBytes: z.int() }),
    counts: publicationCountsSchema.optional(),
    snapshotId: digestSchema.optional(),
    quarantineExpiresAt: z.iso.datetime().optional(),
    decision: quarantineDecisionSchema.optional(),
    cancel: z.object({ by: z.string(), reason: z.string(), at: z.iso.datetime() }).optional(),
    failure: publicationFailureSchema.optional(),
    requestedBy: z.string(),
    createdAt: z.iso.datetime(),
    updatedAt: z.iso.datetime(),
    endedAt: z.iso.datetime().optional(),
  })
  .meta({ id: 'Publication' });
export type PublicationView = z.infer<typeof publicationViewSchema>;

/** One broken rule of a rejected row. */
export const publicationRejectSchema = z.object({
  row: z.int().meta({ description: '1-based, counted over data rows.' }),
  field: z.string(),
  rule: z.string(),
  detail: z.string().optional(),
});
export type PublicationReject = z.infer<typeof publicationRejectSchema>;

const storedPartSchema = z.object({ ref: z.string(), sha256: digestSchema, rows: z.int() });

/** What a snapshot is made of. Everything in it follows from the source and the plan; times are outside. */
const snapshotManifestSchema = z.object({
  rows: z.int(),
  rejected: z.int(),
  parts: z.array(storedPartSchema),
  purposes: z.array(z.string()),
  legalBasis: z.enum(legalBases),
  consentAsOf: z.iso.datetime().nullable(),
  sourceDigest: digestSchema,
  profileRef: z.string(),
  profileSha256: digestSchema,
  binsRef: z.string(),
  binsSha256: digestSchema,
  parentSnapshotIds: z.array(digestSchema),
  /** Rejected rows, kept apart from the parts. */
  quarantine: z.array(storedPartSchema),
});
export type SnapshotManifest = z.infer<typeof snapshotManifestSchema>;

export const snapshotViewSchema = z
  .object({
    id: digestSchema,
    dataset: z.string(),
    publicationId: z.string().meta({ description: 'The publication that made it first.' }),
    contractId: z.string(),
    state: z.enum(snapshotStates),
    rows: z.int(),
    rejected: z.int(),
    manifest: snapshotManifestSchema,
    createdAt: z.iso.datetime(),
  })
  .meta({ id: 'Snapshot' });
export type SnapshotView = z.infer<typeof snapshotViewSchema>;

/** Body of `:release` and `:discard`. */
export const decideQuarantineSchema = z.strictObject({ reason: z.string().min(1).max(1000) });

export const cancelPublicationSchema = z.strictObject({
  reason: z.string().min(1).max(1000).default('cancelled by request'),
});
