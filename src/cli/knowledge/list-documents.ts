import { z } from 'zod';
import { documentSchema, type DocumentFacts } from './file-outcome.js';
import type { Session } from './open-session.js';

const pageSchema = z.object({
  items: z.array(documentSchema),
  nextCursor: z.string().optional(),
});

/** All documents of a collection or a source, deleted ones too. @throws RefusedError, UnreachableError */
export async function listDocuments(
  session: Session,
  filter: { collectionId: string } | { sourceId: string },
): Promise<DocumentFacts[]> {
  const found: DocumentFacts[] = [];
  let cursor: string | undefined;
  do {
    const place = { ...filter, limit: '200', ...(cursor === undefined ? {} : { cursor }) };
    const path = `/v1/documents?${new URLSearchParams(place).toString()}`;
    const page = pageSchema.parse(await session.get(path));
    found.push(...page.items);
    cursor = page.nextCursor;
  } while (cursor !== undefined);
  return found;
}
