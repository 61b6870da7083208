import { lineageQuerySchema, lineageSchema } from '../../domain/registry/lineage.js';
import { route } from '../route.js';
import type { RegistryRouteDeps } from './registry-route-deps.js';

/** `GET /v1/lineage`: what a thing came from, or what came from it. */
export const getLineage = (deps: RegistryRouteDeps) =>
  route({
    method: 'get',
    path: '/v1/lineage',
    operation: 'lineage.get',
    summary: 'Follow the lineage of a thing',
    description: 'An edge points from what came into being to what it came from.',
    permission: 'registry:read',
    query: lineageQuerySchema,
    response: { status: 200, schema: lineageSchema, description: 'Edges, nearest first.' },
    problems: [],
    example: { query: { node: 'version/credit/1', direction: 'upstream', depth: 10 } },
    handle: async ({ principal, query }) => ({
      status: 200,
      body: await deps.findLineage(principal.tenant, query),
    }),
  });
