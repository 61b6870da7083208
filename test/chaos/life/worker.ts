import { loadConfig } from '../../../src/config.js';
import { runProcess } from '../../../src/main/run-process.js';
import { startWorker } from '../../../src/main/worker.js';
import { announceIfArmed, untilBegin } from '../announce-failpoint.js';
import { activitiesWithFailpoints, partsWithFailpoints } from './with-failpoints.js';

// The product's worker with the failpoint port around its database, its starter, its activities and the steps of a batch.

/** A kill over a write costs the next worker so long; the proportions of the lease stay what they are. */
const LEASE_MS = 4_000;

await untilBegin();
await runProcess('worker', () =>
  startWorker(loadConfig(), {
    parts: partsWithFailpoints('worker', announceIfArmed),
    activities: activitiesWithFailpoints(announceIfArmed),
    etl: (deps) => ({
      ...deps,
      leaseMs: LEASE_MS,
      failpoint: async (name) => void (await announceIfArmed(name)),
    }),
  }),
);
