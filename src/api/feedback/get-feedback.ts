import { z } from 'zod';
import { PlatformError } from '../../domain/errors.js';
import { decisionFeedbackSchema } from '../../domain/feedback/contract.js';
import { effectiveLabel } from '../../domain/feedback/effective-label.js';
import { inferenceIdSchema } from '../../domain/ids.js';
import { route } from '../route.js';
import type { FeedbackRouteDeps } from './feedback-route-deps.js';

/** `GET /v1/feedback?decisionId=`: everything that was said of a decision, and the label that counts. */
export const getFeedback = (deps: FeedbackRouteDeps) =>
  route({
    method: 'get',
    path: '/v1/feedback',
    operation: 'feedback.list',
    summary: 'Read the feedback on a decision',
    permission: 'decisions:read',
    query: z.strictObject({ decisionId: inferenceIdSchema }),
    response: { status: 200, schema: decisionFeedbackSchema, description: 'All entries.' },
    problems: [],
    example: { query: { decisionId: 'inf_01JZ8Q4T5V6W7X8Y9ZABCDEFGH' } },
    handle: async ({ principal, query }) => {
      const { tenant, env } = principal;
      const items = await deps.listFeedback(tenant, env, query.decisionId);
      if (items === undefined) {
        throw new PlatformError('NOT_FOUND', 'There is no settled decision of this id here.');
      }
      const label = effectiveLabel(items);
      const effective = label && { value: label.value, feedbackId: label.feedbackId };
      return { status: 200, body: { items, effectiveLabel: effective ?? null } };
    },
  });
