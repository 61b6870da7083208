import { groupsOf } from '../../domain/access/principal.js';
import type { Caller, Outcome, StartedFacts } from '../../domain/events/change.js';
import {
  isRetrievalEvaluationFinal,
  retrievalEvaluationViewSchema,
  startRetrievalEvaluationSchema,
  type RetrievalEvaluationView,
  type StartRetrievalEvaluation,
} from '../../domain/retrieval/evaluation-contract.js';
import { route } from '../route.js';
import { started, startedSchema, type Links } from '../started.js';
import { waitUntil } from '../wait-until.js';

export interface PostRetrievalEvaluationsDeps {
  startRetrievalEvaluation: (
    caller: Caller,
    request: StartRetrievalEvaluation & { requester: { subject: string; groups: string[] } },
  ) => Promise<Outcome<StartedFacts>>;
  findRetrievalEvaluation: (
    tenant: string,
    evaluationId: string,
  ) => Promise<RetrievalEvaluationView>;
  links: Links;
}

/** `POST /v1/retrieval/evaluations`: starts `evaluateRetrieval` for one generation. */
export const postRetrievalEvaluations = (deps: PostRetrievalEvaluationsDeps) =>
  route({
    method: 'post',
    path: '/v1/retrieval/evaluations',
    operation: 'retrieval-evaluations.create',
    summary: 'Evaluate a generation',
    description: 'Measures what the caller may read for the purpose, against a baseline.',
    permission: 'etl:admin',
    body: startRetrievalEvaluationSchema,
    class: 'batch',
    response: { status: 202, schema: startedSchema, description: 'The evaluation is pending.' },
    problems: ['PURPOSE_DENIED', 'NOT_YET_INDEXED'],
    example: { body: { evalSetId: 'evs_01KAJ4Y4G0000000000000000', purpose: 'support' } },
    handle: async ({ caller, principal, body }) => {
      const requester = { subject: principal.subject, groups: groupsOf(principal) };
      const outcome = await deps.startRetrievalEvaluation(caller, { ...body, requester });
      return started(outcome, `/v1/retrieval/evaluations/${outcome.body.id}`, deps.links);
    },
    wait: waitUntil({
      schema: retrievalEvaluationViewSchema,
      read: (principal, id) => deps.findRetrievalEvaluation(principal.tenant, id),
      isFinal: ({ state }) => isRetrievalEvaluationFinal(state),
    }),
  });
