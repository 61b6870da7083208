export { createCheckpointLoop, type CheckpointDeps } from './checkpoint-loop.js';
export { createSealerLoop } from './sealer-loop.js';
export { createVerifyAudit } from './verify-audit.js';
