export {
  createAdmission,
  type Admission,
  type AdmissionDeps,
  type Permit,
} from './create-admission.js';
export { createBacklogLoop } from './backlog-loop.js';
export { createLoadLoop } from './load-loop.js';
