export {
  createCheckpointLoop,
  type CheckpointDeps,
  type CheckpointLoop,
} from './checkpoint-loop.js';
export { createSealerLoop, type SealerDeps } from './sealer-loop.js';
export { createVerifyAudit, type VerifyAuditDeps } from './verify-audit.js';
