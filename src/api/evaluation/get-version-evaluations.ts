import { z } from 'zod';
import { evaluationViewSchema, type EvaluationView } from '../../domain/evaluation/contract.js';
import { evaluationIdSchema, nameSchema } from '../../domain/ids.js';
import { versionNumberSchema } from '../../domain/registry/contract.js';
import { pageOf, pageQuery, readPage, writePage, type Page } from '../paging.js';
import { route } from '../route.js';

export interface GetVersionEvaluationsDeps {
  listEvaluations: (
    tenant: string,
    filter: { model: string; version: number },
    page: Page,
  ) => Promise<EvaluationView[]>;
}

/** `GET …/versions/{v}/evaluations`: newest first. */
export const getVersionEvaluations = (deps: GetVersionEvaluationsDeps) =>
  route({
    method: 'get',
    path: '/v1/models/{model}/versions/{version}/evaluations',
    operation: 'evaluations.list',
    summary: 'List the evaluations of a version',
    permission: 'evaluation:read',
    params: z.strictObject({ model: nameSchema, version: versionNumberSchema }),
    query: z.strictObject(pageQuery),
    response: { status: 200, schema: pageOf(evaluationViewSchema), description: 'One page.' },
    problems: ['CURSOR_INVALID'],
    example: { params: { model: 'loan-default', version: 1 } },
    handle: async ({ principal, params, query }) => {
      const page = readPage(query, params, evaluationIdSchema);
      const found = await deps.listEvaluations(principal.tenant, params, page);
      const body = writePage(found, page, { filter: params, keyOf: (item) => item.id });
      return { status: 200, body };
    },
  });
