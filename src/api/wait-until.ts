import type { z } from 'zod';
import type { Principal } from '../domain/access/principal.js';
import type { Reply } from './route.js';

const POLL_MS = 100;

/** What of a request its wait depends on. */
interface Waiting {
  principal: Principal;
  waitMs: number;
  signal: () => AbortSignal;
}

/**
 * The generic answer to `Prefer: wait=n`, for a route: reads the resource that was started until it is final or the caller's
 * wait is over. Answers 200 with the resource, or undefined where the wait elapsed first.
 */
export const waitUntil = <W extends z.ZodType>(of: {
  schema: W;
  read: (principal: Principal, id: string) => Promise<z.infer<W>>;
  isFinal: (value: z.infer<W>) => boolean;
}) => ({
  schema: of.schema,
  read: async (
    request: Waiting,
    { id }: { id: string },
  ): Promise<Reply<z.infer<W>> | undefined> => {
    const { principal, waitMs } = request;
    const signal = request.signal();
    const deadline = performance.now() + waitMs;
    while (performance.now() < deadline && !signal.aborted) {
      const value = await of.read(principal, id);
      if (of.isFinal(value)) return { status: 200, body: value };
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
    return undefined;
  },
});
