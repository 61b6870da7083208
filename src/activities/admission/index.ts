export { createAdmission, type Admission, type AdmissionDeps } from './create-admission.js';
export { createBacklogLoop } from './backlog-loop.js';
export { createLoadLoop } from './load-loop.js';
