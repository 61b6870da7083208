import { z } from 'zod';
import { documentViewSchema } from '../../domain/etl/document-requests.js';
import { documentIdSchema } from '../../domain/ids.js';
import { route } from '../route.js';
import type { EtlRouteDeps } from './etl-route-deps.js';
import { findOrRefuse } from '../find-or-refuse.js';

/** `GET /v1/documents/{id}` */
export const getDocument = (deps: EtlRouteDeps) =>
  route({
    method: 'get',
    path: '/v1/documents/{id}',
    operation: 'documents.get',
    summary: 'Read what a document is now',
    permission: 'etl:read',
    params: z.strictObject({ id: documentIdSchema }),
    response: { status: 200, schema: documentViewSchema, description: 'The document.' },
    problems: [],
    example: { params: { id: '6f9619ff-8b86-8011-b42d-00c04fc964ff' } },
    handle: async ({ principal, params }) => ({
      status: 200,
      body: await findOrRefuse(deps.findDocument(principal.tenant, params.id), 'document'),
    }),
  });
