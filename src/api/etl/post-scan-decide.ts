import { z } from 'zod';
import { decideScanSchema, scanDecisionSchema } from '../../domain/etl/collection-view.js';
import { scanIdSchema } from '../../domain/ids.js';
import { route } from '../route.js';
import type { EtlRouteDeps } from './etl-route-deps.js';

/** `POST /v1/scans/{id}:decide` */
export const postScanDecide = (deps: EtlRouteDeps) =>
  route({
    method: 'post',
    path: '/v1/scans/{id}:decide',
    operation: 'scans.decide',
    summary: 'Decide on a mass deletion',
    description: 'A scan that would delete much of its source waits for another person.',
    permission: 'etl:approve',
    params: z.strictObject({ id: scanIdSchema }),
    body: decideScanSchema,
    response: { status: 200, schema: scanDecisionSchema, description: 'The decision.' },
    problems: ['SELF_APPROVAL', 'DECISION_EXPIRED', 'ALREADY_DECIDED', 'ILLEGAL_TRANSITION'],
    example: {
      params: { id: 'scn_01JZ8Q4T5V6W7X8Y9ZABCDEFGH' },
      body: { decision: 'apply', reason: 'the archive was moved on purpose' },
    },
    handle: ({ caller, params, body }) => deps.decideScan(caller, params.id, body),
  });
