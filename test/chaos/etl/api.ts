import { loadConfig } from '../../../src/config.js';
import { startApi } from '../../../src/main/api.js';
import { runProcess } from '../../../src/main/run-process.js';
import { announceFailpoint, untilBegin } from '../announce-failpoint.js';

// The product's API with two failpoints around the change log: K1 after the rows are committed and before anyone hears
// of it, K2 answered, but the watcher was not woken.

await untilBegin();
await runProcess('api', () =>
  startApi(loadConfig(), {
    etl: (deps) => ({
      ...deps,
      submitChanges: async (caller, sourceId, changes) => {
        const outcome = await deps.submitChanges(caller, sourceId, changes);
        await announceFailpoint('etl.k1');
        const told = await announceFailpoint('etl.k2');
        return told === 'forget the wake' ? { ...outcome, wakes: [], starts: [] } : outcome;
      },
    }),
  }),
);
