export { compactGeneration } from './compact-generation.js';
export { ingestBatch } from './ingest-batch.js';
export { reconcileGeneration } from './reconcile-generation.js';
export { scanSource } from './scan-source.js';
export { watchSource } from './watch-source.js';
