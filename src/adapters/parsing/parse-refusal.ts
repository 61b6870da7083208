import type { GateEvidence, ParseRefusalReason } from '../../domain/etl/gates.js';

/** A document that cannot be parsed, and why. The evidence holds counts, offsets and names of limits, never text. */
export class ParseRefusal extends Error {
  readonly reason: ParseRefusalReason;
  readonly evidence: GateEvidence;
  constructor(reason: ParseRefusalReason, evidence: GateEvidence) {
    super(reason);
    this.reason = reason;
    this.evidence = evidence;
  }
}
