export { evaluateRetrieval } from './evaluate-retrieval.js';
export { probeGeneration } from './probe-generation.js';
