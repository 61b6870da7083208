import { z } from 'zod';
import { provenanceSchema } from '../../domain/decisions/contract.js';
import { provenanceOf } from '../../domain/decisions/provenance.js';
import { PlatformError } from '../../domain/errors.js';
import { inferenceIdSchema } from '../../domain/ids.js';
import { route } from '../route.js';
import { checkSignatures, type DecisionsRouteDeps } from './decisions-route-deps.js';

/** `GET /v1/decisions/{id}/provenance`: where a decision comes from, each link with its digest, recomputed. */
export const getDecisionProvenance = (deps: DecisionsRouteDeps) =>
  route({
    method: 'get',
    path: '/v1/decisions/{id}/provenance',
    operation: 'decisions.provenance',
    summary: 'Trace a decision to its data',
    description:
      'Decision, routing epoch, release, approval with people and signatures, evaluation, version, contract, training ' +
      'run and snapshot. `verified` says whether a digest or signature, computed again, fits what is stored.',
    permission: 'decisions:read',
    params: z.strictObject({ id: inferenceIdSchema }),
    response: { status: 200, schema: provenanceSchema, description: 'The chain.' },
    problems: [],
    example: { params: { id: 'inf_01JZ8Q4T5V6W7X8Y9ZABCDEFGH' } },
    handle: async ({ principal, params }) => {
      const facts = await deps.findProvenance(principal.tenant, principal.env, params.id);
      if (facts === undefined) {
        throw new PlatformError('NOT_FOUND', 'There is no settled decision of this id here.');
      }
      const signed = await checkSignatures(deps, facts.approval?.decisions ?? []);
      return { status: 200, body: provenanceOf(facts, (fact) => signed.has(fact)) };
    },
  });
