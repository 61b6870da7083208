// The one file that Temporal bundles: whatever function it exports can be started.
export { awaitApproval } from './approval/index.js';
export { trainModel } from './training/index.js';
export { evaluateVersion } from './evaluation/index.js';
export { rollOutRelease } from './release/index.js';
export { infer, inferShadow } from './inference/index.js';
export { publishSnapshot } from './datasets/index.js';
export {
  checkCanaries,
  compactGeneration,
  fitEmbedder,
  ingestBatch,
  reconcileGeneration,
  reembedCollection,
  scanSource,
  startDueWork,
  watchSource,
} from './etl/index.js';
export { evaluateRetrieval, probeGeneration } from './retrieval/index.js';
