export { compactGeneration } from './compact-generation.js';
export { fitEmbedder } from './fit-embedder.js';
export { ingestBatch } from './ingest-batch.js';
export { reconcileGeneration } from './reconcile-generation.js';
export { reembedCollection } from './reembed-collection.js';
export { scanSource } from './scan-source.js';
export { watchSource } from './watch-source.js';
