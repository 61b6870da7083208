import { z } from 'zod';
import { deleteModes } from '../../domain/etl/collection-view.js';
import { sourceIdSchema } from '../../domain/ids.js';
import { route } from '../route.js';
import { started, startedSchema } from '../started.js';
import type { EtlRouteDeps } from './etl-route-deps.js';

/** `DELETE /v1/sources/{id}` */
export const deleteSource = (deps: EtlRouteDeps) =>
  route({
    method: 'delete',
    path: '/v1/sources/{id}',
    operation: 'sources.delete',
    summary: 'Delete a source',
    description:
      'With `delete_documents` its documents are invisible at once and removed afterwards; with `keep` they stay as they are.',
    permission: 'etl:write',
    params: z.strictObject({ id: sourceIdSchema }),
    query: z.strictObject({ mode: z.enum(deleteModes) }),
    response: { status: 202, schema: startedSchema, description: 'The source is going.' },
    problems: ['ILLEGAL_TRANSITION'],
    example: { params: { id: 'src_01JZ8Q4T5V6W7X8Y9ZABCDEFGH' }, query: { mode: 'keep' } },
    handle: async ({ caller, params, query }) =>
      started(
        await deps.deleteSource(caller, params.id, query.mode),
        `/v1/sources/${params.id}`,
        deps.links,
      ),
  });
