import { z } from 'zod';
import { digestOf } from '../domain/digest.js';
import { PlatformError } from '../domain/errors.js';
import { isStorable } from './guard-request.js';

/** Query members of every list: `limit` 1–200 (50), an opaque `cursor`. */
export const pageQuery = {
  limit: z.coerce.number().int().min(1).max(200).default(50),
  cursor: z.string().max(500).optional(),
};

/** A page: newest first by id, and the cursor of the next one if there is one. */
export const pageOf = <T extends z.ZodType>(item: T) =>
  z.object({ items: z.array(item), nextCursor: z.string().optional() });

/** Where a page begins: strictly after `after` in the list's order. */
export interface Page<K = string> {
  limit: number;
  after: K | undefined;
}

/** The largest whole number of a database's `integer` column. */
const MAX_INT4 = 2_147_483_647;

/** Key of a list that is ordered by a counter from 0 to `max`. */
export const counterKey = (max: number = MAX_INT4) =>
  z
    .string()
    .regex(/^\d{1,16}$/)
    .transform(Number)
    .pipe(z.int().max(max));

/** Part of a key that is whatever text the item holds. */
export const textKey = z.string().refine(isStorable);

const fingerprint = (filter: object): string => digestOf('anneal.cursor.v1', filter).slice(7, 23);

/**
 * Reads limit and cursor; a cursor of another filter is refused. The fingerprint is no signature: whoever has one genuine
 * cursor can put any text behind it, so the text is parsed like every other part of a request.
 * @param key what the list is ordered by, as `keyOf` of {@link writePage} writes it
 * @throws CURSOR_INVALID
 */
export function readPage<K>(
  query: { limit: number; cursor?: string | undefined },
  filter: object,
  key: z.ZodType<K, string>,
): Page<K> {
  if (query.cursor === undefined) return { limit: query.limit, after: undefined };
  const [bound, ...rest] = Buffer.from(query.cursor, 'base64url').toString('utf8').split('\n');
  if (bound !== fingerprint(filter) || rest.length !== 1)
    throw new PlatformError('CURSOR_INVALID', 'This cursor belongs to another list.');
  const after = key.safeParse(rest[0]);
  if (!after.success)
    throw new PlatformError('CURSOR_INVALID', 'This cursor is not one that the list has given.');
  return { limit: query.limit, after: after.data };
}

/**
 * Cuts one page out of `limit + 1` found items.
 * @param keyOf the value the list is ordered by, unique per item
 */
export function writePage<T>(
  found: T[],
  page: Pick<Page, 'limit'>,
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
