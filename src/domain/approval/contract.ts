import { z } from 'zod';
import { digestSchema, envSchema, evaluationIdSchema, nameSchema, shadowIdSchema } from '../ids.js';
import { versionSchema } from '../registry/contract.js';
import { DAY_MS, MINUTE_MS } from '../units.js';

/**
 * An approval is PENDING until enough distinct people decided: PARTIAL while some of several are still missing, then
 * APPROVED; one reject or one request for changes ends it. EXPIRED, WITHDRAWN (by the requester) and INVALIDATED (a
 * part of what was to be approved changed) end it too. No option makes an expiry approve.
 */
export const approvalStates = [
  'PENDING',
  'PARTIAL',
  'APPROVED',
  'REJECTED',
  'CHANGES_REQUESTED',
  'EXPIRED',
  'WITHDRAWN',
  'INVALIDATED',
] as const;
export type ApprovalState = (typeof approvalStates)[number];

/** States that still take a decision. */
export const isOpen = (state: ApprovalState): boolean => state === 'PENDING' || state === 'PARTIAL';

/** An APPROVED approval lapses this long after it closed if it was not released. */
export const APPROVAL_VALIDITY_MS = 30 * DAY_MS;

const waiverSchema = z.strictObject({
  criterionId: z.string().min(1).max(63),
  reason: z.string().min(10).max(2_000),
  expiresAt: z.iso.datetime().meta({ description: 'At most 90 days ahead.' }),
});

/** Body of `POST …/versions/{v}/approval-requests`; the plan is parsed again by the release contract. */
export const requestApprovalSchema = z.strictObject({
  env: envSchema,
  evaluationId: evaluationIdSchema,
  shadowId: shadowIdSchema.optional(),
  rolloutPlan: z
    .record(z.string(), z.unknown())
    .meta({ description: 'The release plan that is to be approved.' }),
  contractBreak: z.boolean().default(false),
  deadlineMs: z
    .int()
    .min(1_000)
    .max(30 * DAY_MS)
    .default(7 * DAY_MS),
  comment: z.string().min(1).max(2_000),
});
export type RequestApproval = z.infer<typeof requestApprovalSchema>;

/** Body of `POST /v1/approvals/{id}:decide`. */
export const decideApprovalSchema = z.strictObject({
  decision: z.enum(['approve', 'reject', 'request_changes']),
  subjectDigest: digestSchema,
  reason: z.string().min(10).max(2_000),
  acknowledged: z.array(z.string().min(1).max(63)).max(100).default([]),
  waivers: z.array(waiverSchema).max(100).default([]),
});
export type DecideApproval = z.infer<typeof decideApprovalSchema>;

/** The parts that an approval is bound to; a change of any of them makes another digest. */
const approvalSubjectSchema = z.object({
  model: nameSchema,
  version: versionSchema,
  env: envSchema,
  artifactDigest: digestSchema,
  contractDigest: digestSchema,
  evaluationReportDigest: digestSchema,
  shadowReportDigest: digestSchema.nullable(),
  cardDigest: digestSchema.nullable(),
  policy: z.string(),
  rolloutPlanDigest: digestSchema,
  contractBreak: z.boolean(),
});
export type ApprovalSubject = z.infer<typeof approvalSubjectSchema>;

/** What a person signed, as canonical JSON. */
export const signedDecisionSchema = z.object({
  tenant: z.string(),
  approvalId: z.string(),
  subjectDigest: digestSchema,
  decision: decideApprovalSchema.shape.decision,
  principalId: z.string(),
  roles: z.array(z.string()),
  reason: z.string(),
  acknowledged: z.array(z.string()),
  waivers: z.array(waiverSchema),
  decidedAt: z.iso.datetime(),
  expiresAt: z.iso.datetime(),
  nonce: z.string(),
});
export type SignedDecision = z.infer<typeof signedDecisionSchema>;

/** A decision as the API shows it. */
const decisionViewSchema = z.object({
  principalId: z.string(),
  decision: decideApprovalSchema.shape.decision,
  roles: z.array(z.string()),
  reason: z.string(),
  acknowledged: z.array(z.string()),
  waivers: z.array(waiverSchema),
  decidedAt: z.iso.datetime(),
});

/** An approval as the API shows it. */
export const approvalViewSchema = z
  .object({
    id: z.string(),
    model: z.string(),
    version: z.int(),
    env: envSchema,
    evaluationId: z.string(),
    state: z.enum(approvalStates),
    subject: approvalSubjectSchema,
    subjectDigest: digestSchema,
    rolloutPlan: z.record(z.string(), z.unknown()),
    required: z.int(),
    /** Criteria that every approval must acknowledge. */
    toAcknowledge: z.array(z.string()),
    comment: z.string(),
    requestedBy: z.string(),
    createdAt: z.iso.datetime(),
    expiresAt: z.iso.datetime(),
    closedAt: z.iso.datetime().nullable(),
    decisions: z.array(decisionViewSchema),
  })
  .meta({ id: 'Approval' });
export type ApprovalView = z.infer<typeof approvalViewSchema>;

/** Input of workflow `awaitApproval`. All durations are milliseconds. */
export interface AwaitApprovalInput {
  tenant: string;
  approvalId: string;
  model: string;
  version: number;
  env: string;
  /** How long people have, counted by the workflow only to know when to ask the database. */
  deadlineMs: number;
  /** Shares of the deadline at which approvers are reminded, ascending, in basis points. */
  reminderBp: number[];
}

export const DEFAULT_REMINDER_BP = [5_000, 9_000];
/** The shortest time between two looks at an approval whose expiry the database does not confirm yet. */
export const MIN_RECHECK_MS = 50;
export const MAX_RECHECK_MS = MINUTE_MS;

/** Final state of a run of `awaitApproval`. */
export interface AwaitApprovalOutput {
  state: ApprovalState;
}

/** Workflow id of an approval. */
export const approvalWorkflowId = (tenant: string, approvalId: string): string =>
  `approval/${tenant}/${approvalId}`;
