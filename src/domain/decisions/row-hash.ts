import { digestOf } from '../digest.js';
import type { DecisionRow } from './contract.js';

/** The hash of a decision row: over every member, of content only digests. Its bytes are the row's audit leaf. */
export const decisionRowHash = (row: DecisionRow): `sha256:${string}` =>
  digestOf('anneal.decision.v1', row);
