import { createApiKeySchema, issuedApiKeySchema } from '../../domain/access/contract.js';
import { PlatformError } from '../../domain/errors.js';
import { route } from '../route.js';
import type { AccessRouteDeps } from './access-route-deps.js';

/** `POST /v1/api-keys`: issues a key for one environment; the key is in this answer and nowhere else. */
export const postApiKeys = (deps: AccessRouteDeps) =>
  route({
    method: 'post',
    path: '/v1/api-keys',
    operation: 'api-keys.create',
    summary: 'Issue an API key',
    description:
      'The key is shown once. A repeated request with the same Idempotency-Key answers without it.',
    permission: 'access:write',
    body: createApiKeySchema,
    response: { status: 201, schema: issuedApiKeySchema, description: 'The key.' },
    problems: [],
    example: {
      body: { principalId: 'prn_01JZ8Q4T5V6W7X8Y9ZABCDEFGH', env: 'dev', scopes: ['training:run'] },
    },
    handle: async ({ caller, body }) => {
      if (body.expiresAt !== undefined && Date.parse(body.expiresAt) <= deps.nowMs()) {
        throw new PlatformError('INVALID_REQUEST', 'The key would be expired already.', {
          errors: [{ pointer: '/expiresAt', code: 'in_the_past' }],
        });
      }
      const { outcome, key } = await deps.createKey(caller, body);
      return { ...outcome, body: { ...outcome.body, ...(key === undefined ? {} : { key }) } };
    },
  });
