import { z } from 'zod';
import { inferenceIdSchema } from '../ids.js';

const feedbackTypes = ['label', 'score', 'comment', 'correction'] as const;

/** Who says it, in falling order of weight for the effective label: reviewer, system, user. */
const feedbackSources = ['user', 'reviewer', 'system'] as const;

/** `POST /v1/feedback`. The value's type follows the model's outcome. */
export const feedbackRequestSchema = z.strictObject({
  decisionId: inferenceIdSchema,
  type: z.enum(feedbackTypes),
  value: z.union([z.string().min(1).max(2000), z.number(), z.boolean()]).meta({
    description:
      'label, correction: a class of the model. score: 0 (bad) to 1 (good). comment: text.',
  }),
  source: z.strictObject({
    kind: z.enum(feedbackSources),
    id: z.string().min(1).max(200).meta({
      description: 'A user becomes a pseudonymous token on arrival.',
    }),
  }),
  observedAt: z.iso.datetime({ offset: true }),
});
export type FeedbackRequest = z.infer<typeof feedbackRequestSchema>;

/** One entry of feedback. All are kept. */
export const feedbackSchema = z
  .object({
    feedbackId: z.string(),
    decisionId: z.string(),
    type: z.enum(feedbackTypes),
    value: z.union([z.string(), z.number(), z.boolean()]),
    source: z.object({ kind: z.enum(feedbackSources), id: z.string() }),
    observedAt: z.iso.datetime(),
    createdAt: z.iso.datetime(),
  })
  .meta({ id: 'Feedback' });
export type FeedbackView = z.infer<typeof feedbackSchema>;

/** All feedback on one decision, newest first, with the label that counts. */
export const decisionFeedbackSchema = z.object({
  items: z.array(feedbackSchema),
  effectiveLabel: z
    .object({ value: z.union([z.string(), z.number(), z.boolean()]), feedbackId: z.string() })
    .nullable(),
});
