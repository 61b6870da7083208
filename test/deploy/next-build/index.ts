import { sleep } from '@temporalio/workflow';
import * as today from '../../../src/workflows/index.js';

// The next build of the workflows. Two of them begin with a step that no history of today's build has: a run that changed
// its build on its way would fail as a violation of determinism.

export * from '../../../src/workflows/index.js';

/** Today's, one step later. */
export async function ingestBatch(input: Parameters<typeof today.ingestBatch>[0]) {
  await sleep(1);
  return today.ingestBatch(input);
}

/** Today's, one step later. */
export async function watchSource(input: Parameters<typeof today.watchSource>[0]) {
  await sleep(1);
  return today.watchSource(input);
}
