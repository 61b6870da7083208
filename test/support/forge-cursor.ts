import type { Answer } from './serve-routes.js';

/** A cursor of the same list with another key behind its fingerprint: anybody can make it out of a genuine one. */
function forgeCursor(genuine: string, key: string): string {
  const [bound] = Buffer.from(genuine, 'base64url').toString('utf8').split('\n');
  return Buffer.from(`${bound}\n${key}`).toString('base64url');
}

/** Keys that no list has: no text, text that no database takes, no number, numbers that no column takes. */
const badKeys = ['', '\0', 'a\0', 'NaN', '-1', '1e309', '1.5', 'Infinity'];

/**
 * What a list answers to forged cursors, by key, beside its answer to the genuine one.
 * @param read the list from a cursor
 * @param more keys that are wrong in this list alone
 */
export async function readForged(
  read: (cursor?: string) => Promise<Pick<Answer, 'status' | 'body'>>,
  more: string[] = [],
): Promise<{ genuine: number; forged: Record<string, unknown> }> {
  const cursor = (await read()).body.nextCursor;
  if (typeof cursor !== 'string') throw new Error('the list has one page only');
  const forged: Record<string, unknown> = {};
  for (const key of [...badKeys, ...more]) {
    const { status, body } = await read(forgeCursor(cursor, key));
    forged[key] = [status, body.code];
  }
  return { genuine: (await read(cursor)).status, forged };
}

/** What {@link readForged} answers where every forged cursor is refused and the genuine one is not. */
export const allRefused = (more: string[] = []) => ({
  genuine: 200,
  forged: Object.fromEntries([...badKeys, ...more].map((key) => [key, [400, 'CURSOR_INVALID']])),
});
