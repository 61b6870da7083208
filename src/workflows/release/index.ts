export { rollOutRelease } from './roll-out-release.js';
