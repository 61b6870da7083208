import {
  createPolicySchema,
  policyViewSchema,
  type CreatePolicy,
  type PolicyView,
} from '../../domain/evaluation/contract.js';
import type { Caller, Outcome } from '../../domain/events/change.js';
import { route } from '../route.js';

export interface PostEvaluationPoliciesDeps {
  createPolicy: (caller: Caller, asked: CreatePolicy) => Promise<Outcome<PolicyView>>;
}

/** `POST /v1/evaluation-policies`: a new immutable revision of a policy. */
export const postEvaluationPolicies = (deps: PostEvaluationPoliciesDeps) =>
  route({
    method: 'post',
    path: '/v1/evaluation-policies',
    operation: 'evaluation-policies.create',
    summary: 'Write a revision of an evaluation policy',
    permission: 'access:write-policies',
    body: createPolicySchema,
    response: { status: 201, schema: policyViewSchema, description: 'The new revision.' },
    problems: [],
    example: {
      body: {
        name: 'strict',
        criteria: [
          {
            id: 'accuracy',
            metric: 'accuracy',
            op: 'gte',
            threshold: 0.8,
            vs: 'absolute',
            severity: 'block',
          },
        ],
      },
    },
    handle: ({ caller, body }) => deps.createPolicy(caller, body),
  });
