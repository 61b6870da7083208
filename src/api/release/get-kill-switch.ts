import { z } from 'zod';
import { PlatformError } from '../../domain/errors.js';
import { killSwitchIdSchema } from '../../domain/ids.js';
import { killDetailSchema } from '../../domain/release/view.js';
import { route } from '../route.js';
import type { ReleaseRouteDeps } from './release-route-deps.js';

/** `GET /v1/kill-switches/{id}`: the switch, and the serving processes that do not hold it yet. */
export const getKillSwitch = (deps: ReleaseRouteDeps) =>
  route({
    method: 'get',
    path: '/v1/kill-switches/{id}',
    operation: 'kill-switches.get',
    summary: 'Read a kill switch with its laggards',
    permission: 'release:read',
    params: z.strictObject({ id: killSwitchIdSchema }),
    response: { status: 200, schema: killDetailSchema, description: 'The switch.' },
    problems: ['NOT_FOUND'],
    example: { params: { id: 'kil_01KAJ4Y4G0000000000000000' } },
    handle: async ({ principal, params }) => {
      const key = { env: principal.env, killId: params.id };
      const found = await deps.findKill(principal.tenant, key);
      if (found === undefined) throw new PlatformError('NOT_FOUND', 'There is no such switch.');
      return { status: 200, body: found };
    },
  });
