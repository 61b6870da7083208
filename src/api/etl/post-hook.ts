import { z } from 'zod';
import { uploadScope } from '../../domain/artifacts.js';
import { pushMessageSchema, recordedSchema } from '../../domain/etl/document-requests.js';
import { PlatformError } from '../../domain/errors.js';
import { verifyDelivery } from '../../domain/etl/webhook-signature.js';
import { sourceIdSchema } from '../../domain/ids.js';
import { route } from '../route.js';
import type { EtlRouteDeps } from './etl-route-deps.js';
import { receiveDelivery } from './receive-delivery.js';

/** `POST /v1/hooks/{sourceId}`: the signature is the proof, the delivery's id the idempotency key. */
export const postHook = (deps: EtlRouteDeps) =>
  route({
    method: 'post',
    path: '/v1/hooks/{sourceId}',
    operation: 'hooks.deliver',
    summary: 'Deliver a change of a webhook source',
    description:
      'Signed with the secret of the source: `webhook-id`, `webhook-timestamp` and `webhook-signature: v1,<base64>` of HMAC-SHA256 over `id.timestamp.body`.',
    public: 'senders sign each delivery with the secret of their source and hold no API key',
    identify: async ({ params, header, bytes }) => {
      const id = sourceIdSchema.safeParse(params.sourceId);
      const tenant = id.success ? await deps.findHookTenant(id.data) : undefined;
      const sourceId = id.data ?? '';
      const key = tenant === undefined ? undefined : await deps.hookKey(tenant, sourceId);
      const delivery = {
        id: header('webhook-id'),
        timestamp: header('webhook-timestamp'),
        signature: header('webhook-signature'),
        body: bytes,
      };
      const idempotencyKey = verifyDelivery(delivery, key, deps.nowMs());
      return { tenant: tenant ?? '', subject: `source:${sourceId}`, idempotencyKey };
    },
    params: z.strictObject({ sourceId: sourceIdSchema }),
    body: pushMessageSchema,
    class: 'batch',
    response: { status: 202, schema: recordedSchema, description: 'The change is recorded.' },
    problems: ['SIGNATURE_INVALID', 'SIGNATURE_EXPIRED', 'SOURCE_PAUSED', 'DOCUMENT_SUPPRESSED'],
    example: {
      params: { sourceId: 'src_01JZ8Q4T5V6W7X8Y9ZABCDEFGH' },
      body: { key: 'faq/rotate.md', content: '# Rotating a key', mediaType: 'text/markdown' },
    },
    handle: async (request) => {
      const { params, body, caller, raw } = request;
      const { tenant } = request.principal;
      const source = await deps.findSource(tenant, params.sourceId);
      if (source?.state === 'PAUSED')
        throw new PlatformError('SOURCE_PAUSED', 'The source is paused.');
      const delivery = raw.get('webhook-id') ?? '';
      const scope = uploadScope(request.requestId);
      try {
        const signal = request.signal();
        const change = await receiveDelivery(deps, body, { tenant, delivery, scope, signal });
        return await deps.submitChanges(caller, params.sourceId, [change]);
      } finally {
        await deps.artifacts.dropStaged(tenant, scope);
      }
    },
  });
