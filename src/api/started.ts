import { z } from 'zod';
import type { Outcome, StartedFacts } from '../domain/events/change.js';
import type { Reply } from './route.js';

/** What every started thing answers (DESIGN.md rule 5). */
export const startedSchema = z
  .object({
    id: z.string(),
    workflowId: z.string(),
    status: z.string(),
    links: z.object({ self: z.string(), temporalUi: z.string() }),
  })
  .meta({ id: 'Started' });
export type Started = z.infer<typeof startedSchema>;

/** Builds the links of a started thing; `temporalUi` points at the run in the Temporal Web UI. */
export interface Links {
  temporalUi(workflowId: string): string;
}

/** The 202 of a started operation: its facts with the links added. */
export function started(
  outcome: Outcome<StartedFacts>,
  self: string,
  links: Links,
): Reply<Started> {
  const { id, workflowId, status } = outcome.body;
  return {
    ...outcome,
    body: { id, workflowId, status, links: { self, temporalUi: links.temporalUi(workflowId) } },
    headers: { Location: self },
  };
}
