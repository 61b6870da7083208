import type { Side } from './engine.js';
import type { Installation } from './installation.js';
import { createOurEngine } from './our-engine.js';
import { openWorld } from './our-world.js';

/** Our side as the product composes it: the ledger in Postgres, rows in LanceDB, the activities of the workers. */
export const ourDurable = (at: Installation): Side => ({
  name: 'Anneal',
  open: async (provided) => {
    const world = await openWorld(at, provided);
    return createOurEngine(world, world.show);
  },
});
