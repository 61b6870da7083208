import {
  verifiedCitationsSchema,
  verifyCitationsSchema,
  type VerifiedCitations,
  type VerifyCitations,
} from '../../domain/retrieval/contract.js';
import { route } from '../route.js';
import { askingOf, type Asking } from './asking-of.js';

export interface PostCitationsVerifyDeps {
  verify: (asking: Asking, request: VerifyCitations) => Promise<VerifiedCitations>;
}

/** `POST /v1/citations:verify`: whether cited spans still say what they said. */
export const postCitationsVerify = (deps: PostCitationsVerifyDeps) =>
  route({
    method: 'post',
    path: '/v1/citations:verify',
    operation: 'citations.verify',
    summary: 'Verify citations',
    permission: 'retrieval:query',
    body: verifyCitationsSchema,
    class: 'interactive',
    response: { status: 200, schema: verifiedCitationsSchema, description: 'Verdicts in order.' },
    problems: [],
    example: {
      body: {
        purpose: 'support',
        citations: [
          {
            ...{ documentId: '2c1c8f4e-9d7a-8b3c-a1d2-0123456789ab', revision: 1 },
            ...{ start: 0, end: 33, textSha256: '0'.repeat(64) },
          },
        ],
      },
    },
    handle: async ({ principal, body }) => ({
      status: 200,
      body: await deps.verify(askingOf(principal), body),
    }),
  });
