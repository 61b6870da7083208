import { z } from 'zod';
import { decisionFilterShape, decisionSchema } from '../../domain/decisions/contract.js';
import { inferenceIdSchema } from '../../domain/ids.js';
import { pageOf, pageQuery, readPage, writePage } from '../paging.js';
import { route } from '../route.js';
import { decisionView, type DecisionsRouteDeps } from './decisions-route-deps.js';

/** `GET /v1/decisions`: the rows of the key's environment, newest first. */
export const getDecisions = (deps: DecisionsRouteDeps) =>
  route({
    method: 'get',
    path: '/v1/decisions',
    operation: 'decisions.list',
    summary: 'List decisions',
    permission: 'decisions:read',
    query: z.strictObject({ ...pageQuery, ...decisionFilterShape }),
    response: { status: 200, schema: pageOf(decisionSchema), description: 'A page.' },
    problems: ['CURSOR_INVALID'],
    example: { query: { target: 'loan-default', version: 2 } },
    handle: async ({ principal, query }) => {
      const { subjectToken, target, version, epoch, state, from, to } = query;
      const what = { subjectToken, target, version, epoch, state, from, to };
      const filter = { ...what, env: principal.env };
      const page = readPage(query, filter, inferenceIdSchema);
      const found = await deps.listDecisions(principal.tenant, filter, page);
      const body = writePage(found.map(decisionView), page, {
        filter,
        keyOf: ({ decisionId }) => decisionId,
      });
      return { status: 200, body };
    },
  });
