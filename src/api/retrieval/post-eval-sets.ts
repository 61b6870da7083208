import type { Caller, Outcome } from '../../domain/events/change.js';
import {
  createEvalSetSchema,
  evalSetViewSchema,
  type CreateEvalSet,
  type EvalSetView,
} from '../../domain/retrieval/evaluation-contract.js';
import { route } from '../route.js';

export interface PostEvalSetsDeps {
  createEvalSet: (caller: Caller, request: CreateEvalSet) => Promise<Outcome<EvalSetView>>;
}

const LIMIT_BYTES = 16 * 1024 * 1024;

/** `POST /v1/retrieval/eval-sets`: an immutable set of judged queries. */
export const postEvalSets = (deps: PostEvalSetsDeps) =>
  route({
    method: 'post',
    path: '/v1/retrieval/eval-sets',
    operation: 'eval-sets.create',
    summary: 'Store judged queries',
    permission: 'etl:admin',
    body: createEvalSetSchema,
    bodyLimitBytes: LIMIT_BYTES,
    class: 'batch',
    response: { status: 201, schema: evalSetViewSchema, description: 'The stored set.' },
    problems: ['SET_TOO_SMALL'],
    example: {
      body: {
        collectionId: 'col_01KAJ4Y4G0000000000000000',
        name: 'handbook-questions',
        queries: [
          {
            ...{ id: 'q1', text: 'how do I rotate a key?' },
            judgements: [{ documentId: '2c1c8f4e-9d7a-8b3c-a1d2-0123456789ab', gain: 1 }],
          },
        ],
      },
    },
    handle: ({ caller, body }) => deps.createEvalSet(caller, body),
  });
