export { publishSnapshot } from './publish-snapshot.js';
