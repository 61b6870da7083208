/** Loads a version into this process and asks its golden probes; throws where it cannot serve. */
export type PrepareVersion = (
  of: { tenant: string; model: string; version: number },
  signal: AbortSignal,
) => Promise<unknown>;

type Preparation =
  { state: 'loading' } | { state: 'ready' } | { state: 'failed'; reason: string; atMs: number };

/** How long a failed load is left alone before it is tried again. */
const RETRY_MS = 5_000;

const reasonOf = (error: unknown): string => {
  const code = (error as { code?: unknown }).code;
  const message = error instanceof Error ? error.message : String(error);
  return (typeof code === 'string' ? `${code}: ${message}` : message).slice(0, 200);
};

/** Keeps track of which versions this process has loaded. One load per version at a time; a failed one is retried. */
export function createVersionPreparer(deps: {
  prepareVersion: PrepareVersion;
  /** A load has ended, well or not. */
  onChange: (tenant: string) => void;
}) {
  const known = new Map<string, Preparation>();
  const keyOf = (tenant: string, model: string, version: number) => `${tenant}/${model}/${version}`;

  const load = async (
    of: { tenant: string; model: string; version: number },
    signal: AbortSignal,
  ) => {
    const key = keyOf(of.tenant, of.model, of.version);
    known.set(key, { state: 'loading' });
    try {
      await deps.prepareVersion(of, signal);
      known.set(key, { state: 'ready' });
    } catch (error) {
      known.set(key, { state: 'failed', reason: reasonOf(error), atMs: performance.now() });
    }
    deps.onChange(of.tenant);
  };

  return {
    /** Starts loading what is not loaded; returns at once. */
    want: (of: { tenant: string; model: string; version: number }, signal: AbortSignal): void => {
      const found = known.get(keyOf(of.tenant, of.model, of.version));
      const again = found?.state === 'failed' && performance.now() - found.atMs > RETRY_MS;
      if (found === undefined || again) void load(of, signal);
    },
    isReady: (tenant: string, model: string, version: number): boolean =>
      known.get(keyOf(tenant, model, version))?.state === 'ready',
    /** Why a version is not ready; undefined while it loads or is ready. */
    failureOf: (tenant: string, model: string, version: number): string | undefined => {
      const found = known.get(keyOf(tenant, model, version));
      return found?.state === 'failed' ? found.reason : undefined;
    },
    /** Forgets what a tenant no longer needs, so that it is loaded and probed anew when it comes back. */
    retain: (tenant: string, needed: ReadonlySet<string>): void => {
      for (const [key, { state }] of known) {
        if (key.startsWith(`${tenant}/`) && !needed.has(key) && state !== 'loading') {
          known.delete(key);
        }
      }
    },
    keyOf,
  };
}
