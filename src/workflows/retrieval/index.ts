export { evaluateRetrieval } from './evaluate-retrieval.js';
