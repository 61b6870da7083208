export { infer } from './infer.js';
export { inferShadow } from './infer-shadow.js';
