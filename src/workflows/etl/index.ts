export { ingestBatch } from './ingest-batch.js';
export { watchSource } from './watch-source.js';
