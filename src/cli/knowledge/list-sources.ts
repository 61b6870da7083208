import { z } from 'zod';
import type { Session } from './open-session.js';

/** What the commands read of a source. */
export const sourceSchema = z.looseObject({
  id: z.string(),
  name: z.string(),
  kind: z.string(),
  config: z.record(z.string(), z.unknown()),
  state: z.string(),
  stateReason: z.string().optional(),
  backlog: z.looseObject({ pending: z.int(), claimed: z.int() }),
  documents: z.int(),
  runningScanId: z.string().optional(),
  lastCompleteScanAt: z.string().optional(),
});
export type SourceFacts = z.infer<typeof sourceSchema>;

/** The sources of a collection that are not deleted. @throws RefusedError, UnreachableError */
export async function listSources(session: Session, collectionId: string): Promise<SourceFacts[]> {
  const page = await session.get(`/v1/sources?collectionId=${collectionId}&limit=200`);
  const { items } = z.object({ items: z.array(sourceSchema) }).parse(page);
  return items.filter(({ state }) => state !== 'DELETED');
}
