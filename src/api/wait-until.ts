import type { Reply } from './route.js';

const POLL_MS = 100;

/**
 * Reads a resource until it is final or the caller's wait is over: the generic answer to `Prefer: wait=n`.
 * @returns 200 with the resource, or undefined where the wait elapsed first
 */
export async function waitUntil<T>(
  request: { waitMs: number; signal: AbortSignal },
  read: () => Promise<T>,
  isFinal: (value: T) => boolean,
): Promise<Reply<T> | undefined> {
  const deadline = performance.now() + request.waitMs;
  while (performance.now() < deadline && !request.signal.aborted) {
    const value = await read();
    if (isFinal(value)) return { status: 200, body: value };
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
  return undefined;
}
