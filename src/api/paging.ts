import { z } from 'zod';
import { digestOf } from '../domain/digest.js';
import { PlatformError } from '../domain/errors.js';

/** Query members of every list: `limit` 1–200 (50), an opaque `cursor`. */
export const pageQuery = {
  limit: z.coerce.number().int().min(1).max(200).default(50),
  cursor: z.string().max(500).optional(),
};

/** A page: newest first by id, and the cursor of the next one if there is one. */
export const pageOf = <T extends z.ZodType>(item: T) =>
  z.object({ items: z.array(item), nextCursor: z.string().optional() });

/** Where a page begins: strictly after `after` in the list's order. */
export interface Page {
  limit: number;
  after: string | undefined;
}

const fingerprint = (filter: object): string => digestOf('anneal.cursor.v1', filter).slice(7, 23);

/** Reads limit and cursor; a cursor of another filter is refused. @throws CURSOR_INVALID */
export function readPage(
  query: { limit: number; cursor?: string | undefined },
  filter: object,
): Page {
  if (query.cursor === undefined) return { limit: query.limit, after: undefined };
  const [bound, ...rest] = Buffer.from(query.cursor, 'base64url').toString('utf8').split('\n');
  if (bound !== fingerprint(filter) || rest.length !== 1) {
    throw new PlatformError('CURSOR_INVALID', 'This cursor belongs to another list.');
  }
  return { limit: query.limit, after: rest[0] };
}

/**
 * Cuts one page out of `limit + 1` found items.
 * @param keyOf the value the list is ordered by, unique per item
 */
export function writePage<T>(
  found: T[],
  page: Page,
  how: { filter: object; keyOf(item: T): string },
): { items: T[]; nextCursor?: string } {
  const items = found.slice(0, page.limit);
  const last = items.at(-1);
  if (found.length <= page.limit || last === undefined) return { items };
  const cursor = Buffer.from(`${fingerprint(how.filter)}\n${how.keyOf(last)}`).toString(
    'base64url',
  );
  return { items, nextCursor: cursor };
}
