import { z } from 'zod';
import { collectionIdSchema } from '../../domain/ids.js';
import { nearestOf } from '../nearest-of.js';
import { UsageError } from '../usage-error.js';
import type { Session } from './open-session.js';

const generationSchema = z.looseObject({
  id: z.string(),
  embedder: z.string(),
  sink: z.string(),
  state: z.string(),
  outcome: z.unknown().optional(),
});
/** What the commands read of a collection. */
export const collectionSchema = z.looseObject({
  id: z.string(),
  name: z.string(),
  aclDefault: z.array(z.string()),
  purposes: z.array(z.string()),
  liveGenerationId: z.string().optional(),
  generations: z.array(generationSchema),
});
export type CollectionFacts = z.infer<typeof collectionSchema>;
const pageSchema = z.object({ items: z.array(collectionSchema) });

export const isCollectionId = (text: string): boolean => collectionIdSchema.safeParse(text).success;

/** The collections of a page, by name or newest first. */
const listed = async (session: Session, query: string): Promise<CollectionFacts[]> =>
  pageSchema.parse(await session.get(`/v1/collections?${query}`)).items;

/**
 * The collection of a name or an id.
 * @throws UsageError naming what there is, RefusedError for an id that there is not, UnreachableError
 */
export async function findCollection(session: Session, nameOrId: string): Promise<CollectionFacts> {
  if (isCollectionId(nameOrId))
    return collectionSchema.parse(await session.get(`/v1/collections/${nameOrId}`));
  const [found] = await listed(session, `name=${encodeURIComponent(nameOrId)}`);
  if (found !== undefined) return found;
  const names = (await listed(session, 'limit=200')).map(({ name }) => name);
  throw new UsageError(`There is no collection ${nameOrId}. ${wayOut(names, nameOrId)}`);
}

function wayOut(names: readonly string[], meant: string): string {
  if (names.length === 0) return `Create it: anneal etl collection create ${meant} --purpose <use>`;
  const near = nearestOf(meant, names);
  return near === undefined ? `There are: ${names.join(', ')}.` : `Did you mean ${near}?`;
}
