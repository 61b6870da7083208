import { proxyActivities } from '@temporalio/workflow';
import type { createEventsActivities } from '../../activities/events/index.js';
import { bookkeeping } from './bookkeeping.js';

const { authoriseStart } = proxyActivities<ReturnType<typeof createEventsActivities>>(bookkeeping);

/**
 * The first statement of every workflow: its intent must be in Postgres with the digest of this very input.
 * @throws START_NOT_AUTHORISED (final) where someone started the run past the API
 */
export const authorise = (input: { tenant: string }): Promise<void> =>
  authoriseStart({ tenant: input.tenant, input: { ...input } });
