import { z } from 'zod';
import { groupsOf } from '../../domain/access/principal.js';
import { PlatformError } from '../../domain/errors.js';
import { spanSchema } from '../../domain/etl/document-requests.js';
import { documentIdSchema } from '../../domain/ids.js';
import { purposeSchema } from '../../domain/registry/contract.js';
import { readerOf } from '../../domain/retrieval/principals.js';
import { route } from '../route.js';
import type { EtlRouteDeps } from './etl-route-deps.js';

const refusals = {
  NOT_FOUND: 'There is no such revision.',
  REVISION_EXPIRED: 'The text of this revision is no longer kept.',
  REVISION_ERASED: 'The text of this revision was erased.',
};

const placeSchema = z.coerce.number().int().min(0).max(8_000_000);

/** `GET /v1/documents/{id}/revisions/{rev}/text`: the text that a citation shows, for who may read it. */
export const getDocumentText = (deps: EtlRouteDeps) =>
  route({
    method: 'get',
    path: '/v1/documents/{id}/revisions/{rev}/text',
    operation: 'documents.text',
    summary: 'Read a span of a revision',
    permission: 'retrieval:query',
    params: z.strictObject({
      id: documentIdSchema,
      rev: z.coerce.number().int().min(1).max(2_147_483_647),
    }),
    query: z.strictObject({
      purpose: purposeSchema,
      start: placeSchema.default(0),
      end: placeSchema.default(8_000_000),
    }),
    response: { status: 200, schema: spanSchema, description: 'The span.' },
    problems: ['REVISION_EXPIRED', 'REVISION_ERASED'],
    example: {
      params: { id: '6f9619ff-8b86-8011-b42d-00c04fc964ff', rev: 1 },
      query: { purpose: 'support', start: 0, end: 200 },
    },
    handle: async ({ principal, params, query }) => {
      const { tenant, subject } = principal;
      const groups = groupsOf(principal);
      const { principals, purpose } = readerOf({ tenant, subject, groups, purpose: query.purpose });
      const { start, end } = query;
      const place = { docId: params.id, rev: params.rev, start, end };
      const [span] = await deps.readSpans(tenant, { spans: [place], principals, purpose });
      if (span === undefined || 'refused' in span) {
        const code = span?.refused ?? 'NOT_FOUND';
        throw new PlatformError(code, refusals[code]);
      }
      const { text, title, current } = span;
      const body = {
        documentId: params.id,
        revision: params.rev,
        start,
        end: start + text.length,
        unit: 'utf16' as const,
        ...{ text, title, current },
      };
      return { status: 200, body };
    },
  });
