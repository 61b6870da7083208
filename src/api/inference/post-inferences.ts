import { PlatformError } from '../../domain/errors.js';
import {
  contextHeaders,
  inferenceRequestSchema,
  inferenceResultSchema,
} from '../../domain/inference/contract.js';
import { route, type Reply } from '../route.js';
import { started, startedSchema } from '../started.js';
import type { InferenceRouteDeps } from './inference-route-deps.js';
import { settledReply } from './inference-view.js';

const MAX_BODY_BYTES = 4_194_304;

/** A header that this build does not honour is refused, so that no promise is dropped in silence. */
function refuseContext(headers: Record<string, unknown>): void {
  const errors = contextHeaders
    .filter((name) => headers[name] !== undefined)
    .map((name) => ({ pointer: `/header/${name}`, code: 'unsupported' }));
  if (errors.length > 0) {
    throw new PlatformError('INVALID_REQUEST', 'Some headers are not supported yet.', { errors });
  }
}

/** `POST /v1/inferences`: one inference in the durable lane; with `Prefer: wait=n` its result, if it is ready. */
export const postInferences = (deps: InferenceRouteDeps) =>
  route({
    method: 'post',
    path: '/v1/inferences',
    operation: 'inferences.create',
    summary: 'Ask a model',
    description:
      'Admitted, then carried out durably. 202, or the result where it is ready within `Prefer: wait`. The same key ' +
      'and body answer the same inference.',
    permission: 'inference:invoke',
    body: inferenceRequestSchema,
    bodyLimitBytes: MAX_BODY_BYTES,
    class: 'durable',
    response: { status: 202, schema: startedSchema, description: 'The inference is admitted.' },
    problems: [
      'MODEL_NOT_FOUND',
      'NO_ACTIVE_VERSION',
      'VERSION_RETIRED',
      'KILLED',
      'CONTRACT_VIOLATION',
      'PURPOSE_REQUIRED',
      'PURPOSE_DENIED',
      'EPOCH_REFUSED',
      'ALL_ATTEMPTS_FAILED',
      'OUTPUT_CONTRACT_VIOLATION',
      'DEADLINE_EXCEEDED',
    ],
    example: {
      body: {
        model: 'loan-default',
        inputs: { income: 52_000, amount: 9_000, term: 36, employment: 'employed' },
        purpose: 'credit-scoring',
        subject: { key: 'customer-4711' },
      },
    },
    handle: async (request): Promise<Reply<ReturnType<typeof started>['body']>> => {
      const { principal, caller, body, waitMs } = request;
      refuseContext(request.raw.headers);
      const context = { caller, env: principal.env, waiting: waitMs > 0 };
      const admission = await deps.admit(body, context);
      const { replayed, starts } = admission;
      const outcome = { status: 202, body: admission.started, replayed, starts, wakes: [] };
      if (replayed) {
        const [stored] = await deps.readInferences(principal.tenant, [admission.started.id]);
        const reply = stored && (await settledReply(deps, principal.tenant, stored));
        if (reply !== undefined) return { ...reply, replayed };
      }
      return started(outcome, `/v1/inferences/${admission.started.id}`, deps.links);
    },
    wait: {
      schema: inferenceResultSchema,
      read: async (request, { id }) => {
        const { waitMs, principal } = request;
        const { tenant } = principal;
        const of = { tenant, inferenceId: id, known: false };
        const settled = await deps.waitFor(of, { waitMs, signal: request.signal() });
        return settled && settledReply(deps, tenant, settled);
      },
    },
  });
