import { z } from 'zod';
import type { Permission } from '../../domain/access/permissions.js';
import { releaseIdSchema } from '../../domain/ids.js';
import {
  commandSchema,
  type ReleaseCommandName,
  type ReleaseState,
} from '../../domain/release/contract.js';
import { isFinalRelease } from '../../domain/release/transitions.js';
import { releaseViewSchema } from '../../domain/release/view.js';
import { route } from '../route.js';
import { started, startedSchema } from '../started.js';
import { waitUntil } from '../wait-until.js';
import { readRelease } from './read-release.js';
import type { ReleaseRouteDeps } from './release-route-deps.js';

/**
 * The endpoint of one order to a running release: the order is a fact in Postgres, the wake carries its id.
 * @param order.isDone whether the release has followed it
 */
export const orderRoute = (
  deps: ReleaseRouteDeps,
  order: {
    command: ReleaseCommandName;
    permission: Permission;
    summary: string;
    isDone: (state: ReleaseState) => boolean;
  },
) =>
  route({
    method: 'post',
    path: `/v1/releases/{id}:${order.command}`,
    operation: `releases.${order.command}`,
    summary: order.summary,
    permission: order.permission,
    params: z.strictObject({ id: releaseIdSchema }),
    body: commandSchema,
    response: { status: 202, schema: startedSchema, description: 'The order is on record.' },
    problems: ['NOT_FOUND', 'ILLEGAL_TRANSITION'],
    example: {
      params: { id: 'rel_01KAJ4Y4G0000000000000000' },
      body: { reason: 'looked at the report' },
    },
    handle: async ({ caller, principal, params, body }) => {
      const { command } = order;
      const { env } = principal;
      const asked = { releaseId: params.id, env, command, reason: body.reason };
      const outcome = await deps.orderRelease(caller, asked);
      return started(outcome, `/v1/releases/${params.id}`, deps.links);
    },
    wait: waitUntil({
      schema: releaseViewSchema,
      read: (principal, id) => readRelease(deps, principal, id),
      isFinal: ({ state }) => isFinalRelease(state) || order.isDone(state),
    }),
  });
