import { z } from 'zod';
import { modelContractSchema } from '../datasets/model-contract.js';
import { digestSchema, nameSchema } from '../ids.js';
import { textNameSchema } from '../text-name.js';

/** What data may be used for: a name such as `credit-scoring`. */
export const purposeSchema = z.string().regex(/^[a-z0-9][a-z0-9_-]{0,62}$/, {
  error: 'lower-case letters, digits, hyphens and underscores, at most 63',
});

/** A value of a label or an outcome. */
export const labelValueSchema = z.union([z.string().max(1000), z.number(), z.boolean()]);
export type LabelValue = z.infer<typeof labelValueSchema>;

/** How much harm a wrong answer does. Raising takes effect at once; lowering needs an approval. */
export const riskClasses = ['low', 'medium', 'high'] as const;
export type RiskClass = (typeof riskClasses)[number];

/** What a model predicts: one of two classes, one of several, or a number. */
const outcomeSchema = z.strictObject({
  type: z.enum(['binary', 'categorical', 'number']),
  labels: z.array(labelValueSchema).min(2).max(1000).optional(),
});

export const registerModelSchema = z.strictObject({
  purpose: purposeSchema,
  riskClass: z.enum(riskClasses).default('medium'),
  outcome: outcomeSchema,
  policyId: nameSchema
    .default('default')
    .meta({ description: 'Evaluation policy that its versions are judged by.' }),
  owner: textNameSchema(128).meta({ description: 'Team or role that answers for it.' }),
});
export type RegisterModel = z.infer<typeof registerModelSchema>;

export const modelViewSchema = z
  .object({
    name: z.string(),
    purpose: z.string(),
    riskClass: z.enum(riskClasses),
    outcome: outcomeSchema,
    policyId: z.string(),
    owner: z.string(),
    /** Number of registered versions; the newest has this number. */
    versions: z.int(),
    createdAt: z.iso.datetime(),
    updatedAt: z.iso.datetime(),
  })
  .meta({ id: 'Model' });
export type ModelView = z.infer<typeof modelViewSchema>;

/** The assurance axis of a version: how far it has been judged. */
export const assuranceStates = [
  'REGISTERED',
  'EVALUATING',
  'EVALUATED',
  'PENDING_APPROVAL',
  'APPROVED',
  'REJECTED',
  'EXPIRED',
  'QUARANTINED',
  'RETIRED',
  'ERASED',
] as const;
export type Assurance = (typeof assuranceStates)[number];

/** An input that the version answered at registration; a serving process must answer it the same. */
const goldenRowSchema = z.object({
  inputs: z.record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.null()])),
  output: z.object({ label: labelValueSchema, probability: z.number().min(0).max(1) }),
});
export type GoldenRow = z.infer<typeof goldenRowSchema>;

/** Golden rows that a registration has at least. */
export const MIN_GOLDEN_ROWS = 5;

/** Where a version comes from: what an evaluation, an approval or an erasure needs to know of its training. */
export const versionLineageSchema = z.object({
  runId: z.string(),
  snapshotId: digestSchema,
  evaluationSnapshotId: digestSchema.optional(),
  datasetContractId: z.string(),
  target: z.string(),
  /** Negative, then positive class, typed as the label field. */
  classes: z.tuple([labelValueSchema, labelValueSchema]),
  features: z.array(z.string()),
  protectedAttributes: z.array(z.string()),
  split: z.object({
    strategy: z.string(),
    fractionsBp: z.array(z.int()),
    salt: z.string(),
  }),
  trainer: z.object({ kind: z.string(), params: z.record(z.string(), z.number()) }),
  trainerVersion: z.string(),
  seed: z.int(),
  parentVersion: z.int().optional(),
  codeRef: z.object({ repo: z.string(), commit: z.string() }).optional(),
});
export type VersionLineage = z.infer<typeof versionLineageSchema>;

const annotationValueSchema = z.union([z.string().max(2000), z.number(), z.boolean()]);
/** Notes on a version by key; they never change what it is. */
const annotationsSchema = z.record(
  z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._/-]{0,127}$/),
  annotationValueSchema,
);
export type Annotations = z.infer<typeof annotationsSchema>;

/**
 * Changes to a version. Only `annotations` is accepted (null removes a key); any other key is 409 `VERSION_IMMUTABLE`,
 * and that is why the object is open.
 */
export const patchVersionSchema = z
  .looseObject({
    annotations: z
      .record(
        z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._/-]{0,127}$/),
        z.union([annotationValueSchema, z.null()]),
      )
      .optional(),
  })
  .meta({ description: 'Only `annotations` may change; null removes a key.' });
export type PatchVersion = z.infer<typeof patchVersionSchema>;

export const versionReasonSchema = z.strictObject({ reason: z.string().min(10).max(1000) });

/** Where a version stands in one environment. */
const deploymentViewSchema = z.object({
  env: z.string(),
  state: z.enum(['NONE', 'SHADOW', 'CANARY', 'ACTIVE', 'PREVIOUS', 'ROLLED_BACK']),
  barredAt: z.iso.datetime().optional(),
  barredReason: z.string().optional(),
});

/** A version in a list. */
export const versionSummarySchema = z
  .object({
    model: z.string(),
    version: z.int(),
    assurance: z.enum(assuranceStates),
    artifactDigest: digestSchema,
    runId: z.string().optional(),
    metrics: z.record(z.string(), z.number()),
    deployments: z.array(deploymentViewSchema),
    trainedBy: z.string(),
    createdAt: z.iso.datetime(),
  })
  .meta({ id: 'ModelVersionSummary' });
export type VersionSummary = z.infer<typeof versionSummarySchema>;

/** A version with all that was registered. Everything but assurance, deployments and annotations is immutable. */
export const versionViewSchema = versionSummarySchema
  .extend({
    artifactBytes: z.int(),
    contract: modelContractSchema,
    contractDigest: digestSchema,
    golden: z.array(goldenRowSchema),
    lineage: versionLineageSchema,
    annotations: annotationsSchema,
    updatedAt: z.iso.datetime(),
  })
  .meta({ id: 'ModelVersion' });
export type VersionView = z.infer<typeof versionViewSchema>;

const MAX_VERSION = 2_147_483_647;

/** A version as a body names it. */
export const versionSchema = z.int().min(1).max(MAX_VERSION);

/** A version as a path or a query names it. */
export const versionNumberSchema = z.coerce.number().int().min(1).max(MAX_VERSION);
