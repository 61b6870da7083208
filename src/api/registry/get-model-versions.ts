import { z } from 'zod';
import { PlatformError } from '../../domain/errors.js';
import { nameSchema } from '../../domain/ids.js';
import { assuranceStates, versionSummarySchema } from '../../domain/registry/contract.js';
import { counterKey, pageOf, pageQuery, readPage, writePage } from '../paging.js';
import { route } from '../route.js';
import type { RegistryRouteDeps } from './registry-route-deps.js';

/** `GET /v1/models/{model}/versions`: newest first. */
export const getModelVersions = (deps: RegistryRouteDeps) =>
  route({
    method: 'get',
    path: '/v1/models/{model}/versions',
    operation: 'versions.list',
    summary: 'List the versions of a model',
    permission: 'registry:read',
    params: z.strictObject({ model: nameSchema }),
    query: z.strictObject({ ...pageQuery, assurance: z.enum(assuranceStates).optional() }),
    response: { status: 200, schema: pageOf(versionSummarySchema), description: 'A page.' },
    problems: ['CURSOR_INVALID', 'MODEL_NOT_FOUND'],
    example: { params: { model: 'credit' }, query: { assurance: 'APPROVED' } },
    handle: async ({ principal, params, query }) => {
      const filter = { list: 'versions', model: params.model, assurance: query.assurance };
      const page = readPage(query, filter, counterKey());
      if ((await deps.findModel(principal.tenant, params.model)) === undefined)
        throw new PlatformError('MODEL_NOT_FOUND', 'There is no model of this name.');
      const found = await deps.listVersions(principal.tenant, filter, page);
      const body = writePage(found, page, { filter, keyOf: ({ version }) => String(version) });
      return { status: 200, body };
    },
  });
