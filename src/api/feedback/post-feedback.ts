import { feedbackProblem } from '../../domain/feedback/feedback-problem.js';
import { feedbackRequestSchema, feedbackSchema } from '../../domain/feedback/contract.js';
import { route } from '../route.js';
import type { FeedbackRouteDeps } from './feedback-route-deps.js';

/** `POST /v1/feedback`: a label, score, comment or correction for one decision. */
export const postFeedback = (deps: FeedbackRouteDeps) =>
  route({
    method: 'post',
    path: '/v1/feedback',
    operation: 'feedback.create',
    summary: 'Say how a decision turned out',
    description:
      'All entries are kept; the label that counts is the reviewer’s before the system’s before a user’s, then the latest.',
    permission: 'feedback:write',
    body: feedbackRequestSchema,
    class: 'durable',
    response: {
      status: 201,
      schema: feedbackSchema,
      description: 'The entry.',
      other: { status: 200, description: 'An entry that was there already.' },
    },
    problems: ['FEEDBACK_TYPE_INVALID'],
    example: {
      body: {
        decisionId: 'inf_01JZ8Q4T5V6W7X8Y9ZABCDEFGH',
        type: 'label',
        value: 'repaid',
        source: { kind: 'system', id: 'ledger' },
        observedAt: '2026-11-21T10:00:00Z',
      },
    },
    handle: async ({ principal, caller, body }) => {
      const { tenant, env } = principal;
      const { kind, id } = body.source;
      // A user is a person: only a token of the identifier is kept.
      const source = { kind, id: kind === 'user' ? await deps.subjectToken(tenant, id) : id };
      return deps.recordFeedback(caller, { ...body, source, env }, async (model, version) => {
        const contract = await deps.findContract(tenant, model, version);
        return contract === undefined ? 'has no contract' : feedbackProblem(body, contract);
      });
    },
  });
