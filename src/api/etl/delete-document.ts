import { z } from 'zod';
import { recordedSchema } from '../../domain/etl/document-requests.js';
import { documentIdSchema } from '../../domain/ids.js';
import { route } from '../route.js';
import type { EtlRouteDeps } from './etl-route-deps.js';
import { findOrRefuse } from '../find-or-refuse.js';

/** `DELETE /v1/documents/{id}` */
export const deleteDocument = (deps: EtlRouteDeps) =>
  route({
    method: 'delete',
    path: '/v1/documents/{id}',
    operation: 'documents.delete',
    summary: 'Delete a document',
    description:
      'Invisible at once, its rows are removed afterwards. With `suppress` it never comes back.',
    permission: 'etl:write',
    params: z.strictObject({ id: documentIdSchema }),
    query: z.strictObject({ suppress: z.enum(['true', 'false']).default('false') }),
    class: 'durable',
    response: { status: 202, schema: recordedSchema, description: 'The change is recorded.' },
    problems: [],
    example: { params: { id: '6f9619ff-8b86-8011-b42d-00c04fc964ff' } },
    handle: async ({ caller, principal, params, query, requestId }) => {
      const found = deps.findDocumentKey(principal.tenant, params.id);
      const { sourceId, naturalKey } = await findOrRefuse(found, 'document');
      // First the bar, then the deletion: a crash between the two leaves nothing that could come back.
      if (query.suppress === 'true') await deps.suppressDocument(caller, params.id);
      return deps.submitChanges(caller, sourceId, [
        { naturalKey, kind: 'delete', sourceVersion: `deleted:${requestId}`, priority: 2 },
      ]);
    },
  });
