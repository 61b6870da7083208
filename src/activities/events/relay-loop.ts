import type { StartRequest, WakeRequest } from '../../domain/events/contract.js';
import type { Loop } from '../pass-loop.js';

/** What the relay asks for: claimed work, and the two ways to carry it out. */
export interface RelayDeps {
  /** Takes up to `limit` due intents of all tenants; a claim lapses after 30 s, so a lost relay loses nothing. */
  claimStarts: (limit: number) => Promise<{ tenant: string; start: StartRequest }[]>;
  claimWakes: (limit: number) => Promise<{ tenant: string; wake: WakeRequest }[]>;
  /** Starts a workflow; "already started" is success. */
  startWorkflow: (tenant: string, start: StartRequest) => Promise<void>;
  /** True when the run has seen the fact, or is over and never will. */
  wakeWorkflow: (wake: WakeRequest) => Promise<void>;
  markStarted: (tenant: string, workflowId: string) => Promise<void>;
  markWoken: (tenant: string, factId: string) => Promise<void>;
  /** Resolves when something may be due: a NOTIFY, or the sweep interval. */
  nextDue: (signal: AbortSignal) => Promise<void>;
  log: { warn: (facts: object, message: string) => void };
}

const BATCH = 64;

async function sweep(deps: RelayDeps): Promise<number> {
  const starts = await deps.claimStarts(BATCH);
  const wakes = await deps.claimWakes(BATCH);
  const results = await Promise.allSettled([
    ...starts.map(async ({ tenant, start }) => {
      await deps.startWorkflow(tenant, start);
      await deps.markStarted(tenant, start.workflowId);
    }),
    ...wakes.map(async ({ tenant, wake }) => {
      await deps.wakeWorkflow(wake);
      await deps.markWoken(tenant, wake.factId);
    }),
  ]);
  for (const result of results) {
    if (result.status === 'rejected') {
      deps.log.warn({ reason: String(result.reason) }, 'relay: left for the next sweep');
    }
  }
  return starts.length + wakes.length;
}

/**
 * Starts what a crash left behind and repeats lost wakes. Intents of the API become due two seconds after their
 * commit; those meant for the relay at once. At least once; the workflow id makes it exactly once.
 */
export function createRelayLoop(deps: RelayDeps): Loop {
  let lastError: unknown;
  return {
    healthy: () => lastError === undefined,
    run: async (signal) => {
      while (!signal.aborted) {
        let found = 0;
        try {
          found = await sweep(deps);
          lastError = undefined;
        } catch (error) {
          lastError = error;
          deps.log.warn({ reason: String(error) }, 'relay: the store does not answer');
        }
        if (found < BATCH) await deps.nextDue(signal);
      }
    },
  };
}
