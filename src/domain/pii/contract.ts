import { z } from 'zod';
import { compilePattern, whyPatternIsRefused } from '../datasets/linear-pattern.js';

/** What the built-in detectors find. */
export const piiKinds = [
  'EMAIL',
  'PHONE',
  'CARD',
  'IBAN',
  'SSN',
  'NHS',
  'PESEL',
  'AADHAAR',
  'IP',
  'URL_USERINFO',
  'SECRET',
] as const;
type PiiKind = (typeof piiKinds)[number];

/** What is done with a finding: a keyed pseudonym, `[KIND]`, or nothing. */
const piiActions = ['pseudonymise', 'mask', 'allow'] as const;
export type PiiAction = (typeof piiActions)[number];

/** Version of the detectors: raised whenever one of them finds something else than before. */
const piiDetectorVersion = 'pii@1';

const actionSchema = z.enum(piiActions);

const patternSchema = z
  .string()
  .min(1)
  .max(500)
  .superRefine((pattern, context) => {
    const reason = whyPatternIsRefused(pattern);
    if (reason !== undefined) context.addIssue({ code: 'custom', message: reason });
    else if (compilePattern(pattern).test(''))
      context.addIssue({ code: 'custom', message: 'matches the empty text' });
  });

/** A pattern of the tenant: linear syntax, at most 256 characters of text, whole tokens only. */
const piiPatternSchema = z.strictObject({
  name: z
    .string()
    .regex(/^[A-Z][A-Z0-9_]{1,31}$/)
    .refine((name) => !(piiKinds as readonly string[]).includes(name), {
      error: 'is the name of a built-in kind',
    }),
  pattern: patternSchema,
  /** Score of a match without context, 0–1. */
  score: z.number().min(0).max(1).default(0.8),
  /** Words that raise the score by 0.35 where one stands nearby. */
  context: z.array(z.string().min(1).max(40)).max(20).default([]),
  action: actionSchema.default('pseudonymise'),
});

/**
 * What is searched for and what is done with it. `version` is the name its author gives to this policy; what decides a
 * scrubbed text is `piiPolicyIdentity`.
 */
export const piiPolicySchema = z
  .strictObject({
    version: z.string().min(1).max(64),
    /** The action of every kind that `actions` does not name. */
    defaultAction: actionSchema.default('pseudonymise'),
    actions: z.partialRecord(z.enum(piiKinds), actionSchema).default({}),
    /** Findings below this score are left out, 0–1. A validated finding is never left out. */
    minScore: z.number().min(0).max(1).default(0.5),
    patterns: z.array(piiPatternSchema).max(50).default([]),
  })
  .refine(({ patterns }) => new Set(patterns.map(({ name }) => name)).size === patterns.length, {
    path: ['patterns'],
    error: 'two patterns have one name',
  });
export type PiiPolicy = z.infer<typeof piiPolicySchema>;
export type PiiPattern = z.infer<typeof piiPatternSchema>;

/** Every kind becomes a pseudonym. */
export const defaultPiiPolicy: PiiPolicy = piiPolicySchema.parse({ version: 'default-1' });

/** The action of a kind or of a tenant pattern. */
export function actionOf(policy: PiiPolicy, kind: string): PiiAction {
  const own = policy.patterns.find(({ name }) => name === kind);
  if (own) return own.action;
  return policy.actions[kind as PiiKind] ?? policy.defaultAction;
}

/**
 * Everything of a policy that decides a scrubbed text, ready for `digestOf`: equal identities scrub equally. Defaults are
 * written out and patterns sorted, so that an omitted default and a stated one are one identity.
 */
export function piiPolicyIdentity(policy: PiiPolicy): Record<string, unknown> {
  return {
    detector: piiDetectorVersion,
    version: policy.version,
    actions: Object.fromEntries(piiKinds.map((kind) => [kind, actionOf(policy, kind)])),
    minScore: policy.minScore,
    patterns: [...policy.patterns]
      .sort((a, b) => (a.name < b.name ? -1 : 1))
      .map((pattern) => ({ ...pattern, context: [...pattern.context].sort() })),
  };
}

/** One finding: `text.slice(start, end)` in UTF-16 units. It never holds the value itself. */
export interface Finding {
  /** A {@link PiiKind} or the name of a tenant pattern. */
  kind: string;
  start: number;
  end: number;
  /** 0–1. */
  score: number;
  /** True where check digits, area rules or a numbering plan confirm it. */
  validated: boolean;
}
