import { z } from 'zod';
import { collectionIdSchema, generationIdSchema } from '../ids.js';
import { DAY_MS } from '../units.js';

/** Body of `POST /v1/collections/{id}:decide`: whether a generation goes live that the gate could not decide on. */
export const decideGenerationSchema = z.strictObject({
  generationId: generationIdSchema,
  decision: z.enum(['flip', 'drop']),
  reason: z.string().min(1).max(1_000),
});
export type DecideGeneration = z.infer<typeof decideGenerationSchema>;

/** What a person decided about a generation. */
export const generationDecisionSchema = decideGenerationSchema.extend({
  collectionId: collectionIdSchema,
  decidedBy: z.string(),
  decidedAt: z.iso.datetime(),
});
export type GenerationDecision = z.infer<typeof generationDecisionSchema>;

/** Body of `POST /v1/collections/{id}:rebuild`. */
export const rebuildSchema = z.strictObject({
  /** How long the generation before is kept, in ms. */
  holdMs: z
    .int()
    .min(0)
    .max(90 * DAY_MS)
    .default(7 * DAY_MS),
});
