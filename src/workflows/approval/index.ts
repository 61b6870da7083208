export { awaitApproval } from './await-approval.js';
