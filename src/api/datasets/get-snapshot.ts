import { z } from 'zod';
import { snapshotViewSchema } from '../../domain/datasets/contract.js';
import { digestSchema } from '../../domain/ids.js';
import { route } from '../route.js';
import type { DatasetsRouteDeps } from './datasets-route-deps.js';
import { findOrRefuse } from '../find-or-refuse.js';

/** `GET /v1/snapshots/{id}`: the manifest of a snapshot by its content address. */
export const getSnapshot = (deps: DatasetsRouteDeps) =>
  route({
    method: 'get',
    path: '/v1/snapshots/{id}',
    operation: 'snapshots.get',
    summary: 'Read a snapshot',
    permission: 'datasets:read',
    params: z.strictObject({ id: digestSchema }),
    response: { status: 200, schema: snapshotViewSchema, description: 'The snapshot.' },
    problems: [],
    example: { params: { id: `sha256:${'0'.repeat(64)}` } },
    handle: async ({ principal, params }) => ({
      status: 200,
      body: await findOrRefuse(deps.findSnapshot(principal.tenant, params.id), 'snapshot'),
    }),
  });
