export { evaluateVersion } from './evaluate-version.js';
