import { digestOf } from '../digest.js';
import type { Digest } from '../ids.js';
import type { ApprovalSubject } from './contract.js';

/** Digest of everything that an approval is bound to. */
export const subjectDigest = (subject: ApprovalSubject): Digest =>
  digestOf('anneal.approval.subject.v1', subject);
