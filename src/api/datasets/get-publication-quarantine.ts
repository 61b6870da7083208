import { z } from 'zod';
import { publicationRejectSchema } from '../../domain/datasets/contract.js';
import { publicationIdSchema } from '../../domain/ids.js';
import { pageOf, pageQuery, readPage, textKey, writePage } from '../paging.js';
import { route } from '../route.js';
import type { DatasetsRouteDeps, RejectKey } from './datasets-route-deps.js';

const keySchema = z
  .string()
  .transform((text, context): unknown => {
    try {
      return JSON.parse(text);
    } catch {
      context.addIssue({ code: 'custom', message: 'is no JSON' });
      return z.NEVER;
    }
  })
  .pipe(z.tuple([z.int32(), textKey, textKey]))
  .transform(([row, field, rule]): RejectKey => ({ row, field, rule }));

/** `GET /v1/publications/{id}/quarantine`: the first 10,000 broken rules, in file order. */
export const getPublicationQuarantine = (deps: DatasetsRouteDeps) =>
  route({
    method: 'get',
    path: '/v1/publications/{id}/quarantine',
    operation: 'publications.list-quarantine',
    summary: 'List the rejected rows of a publication',
    description: 'Row number, field and broken rule; the counts of the publication are exact.',
    permission: 'datasets:read-raw',
    params: z.strictObject({ id: publicationIdSchema }),
    query: z.strictObject({ rule: z.string().max(64).optional(), ...pageQuery }),
    response: { status: 200, schema: pageOf(publicationRejectSchema), description: 'One page.' },
    problems: ['CURSOR_INVALID'],
    example: { params: { id: 'pub_01JZ8Q4T5V6W7X8Y9ZABCDEFGH' }, query: { rule: 'missing' } },
    handle: async ({ principal, params, query }) => {
      const filter = { publicationId: params.id, rule: query.rule };
      const page = readPage(query, filter, keySchema);
      const found = await deps.listRejects(principal.tenant, filter, page);
      const body = writePage(found, page, {
        filter,
        keyOf: ({ row, field, rule }) => JSON.stringify([row, field, rule]),
      });
      return { status: 200, body };
    },
  });
