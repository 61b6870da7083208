import { loadConfig } from '../../../src/config.js';
import { runProcess } from '../../../src/main/run-process.js';
import { startWorker } from '../../../src/main/worker.js';
import { announceFailpoint, untilBegin } from '../announce-failpoint.js';
import { plantedFaults, type PlantedFault } from './planted-faults.js';
import { withFailpoints } from './with-failpoints.js';

// The product's worker with the failpoint port in its place, and with a planted fault where the run is to prove that it
// is caught. Loaded first and begun later, so that the next one is ready when this one is killed.

/** A kill over a write costs the next worker so long; the proportions of the lease stay what they are. */
const LEASE_MS = 4_000;

const [planted = 'none'] = process.argv.slice(2);
await untilBegin();
await runProcess('worker', () =>
  startWorker(loadConfig(), {
    etl: (deps) => {
      const announced = withFailpoints({ ...deps, leaseMs: LEASE_MS }, announceFailpoint);
      return planted === 'none' ? announced : plantedFaults[planted as PlantedFault](announced);
    },
  }),
);
