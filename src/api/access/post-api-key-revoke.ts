import { z } from 'zod';
import { apiKeyViewSchema } from '../../domain/access/contract.js';
import { apiKeyIdSchema } from '../../domain/ids.js';
import { route } from '../route.js';
import type { AccessRouteDeps } from './access-route-deps.js';

/** `POST /v1/api-keys/{id}:revoke`: ends a key for good, on every process within 5 s. */
export const postApiKeyRevoke = (deps: AccessRouteDeps) =>
  route({
    method: 'post',
    path: '/v1/api-keys/{id}:revoke',
    operation: 'api-keys.revoke',
    summary: 'Revoke an API key',
    permission: 'access:write',
    params: z.strictObject({ id: apiKeyIdSchema }),
    response: { status: 200, schema: apiKeyViewSchema, description: 'The revoked key.' },
    problems: ['ILLEGAL_TRANSITION'],
    example: { params: { id: 'key_01JZ8Q4T5V6W7X8Y9ZABCDEFGH' } },
    handle: async ({ caller, params }) => deps.revokeKey(caller, params.id),
  });
