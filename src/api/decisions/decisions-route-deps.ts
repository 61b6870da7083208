import type { DecisionFilter, DecisionRow, DecisionView } from '../../domain/decisions/contract.js';
import type { ProvenanceFacts, SignedFact } from '../../domain/decisions/provenance.js';

/** A decision row and its stored hash. */
export interface StoredDecision {
  decision: DecisionRow;
  /** `sha256:<hex>`. */
  rowHash: string;
}

/** What the endpoints of `decisions` ask for. */
export interface DecisionsRouteDeps {
  findDecision: (
    tenant: string,
    env: string,
    decisionId: string,
  ) => Promise<StoredDecision | undefined>;
  /** One more than `limit` where there is more. */
  listDecisions: (
    tenant: string,
    filter: DecisionFilter & { env: string },
    page: { limit: number; after: string | undefined },
  ) => Promise<StoredDecision[]>;
  findProvenance: (
    tenant: string,
    env: string,
    decisionId: string,
  ) => Promise<ProvenanceFacts | undefined>;
  /** True where an approver's signature fits its payload and key. */
  verifySignature: (
    payload: string,
    by: { keyId: string; signature: Uint8Array },
  ) => Promise<boolean>;
}

/** What a reader of decisions sees of a signed fact, checked. */
export async function checkSignatures(
  deps: Pick<DecisionsRouteDeps, 'verifySignature'>,
  facts: readonly SignedFact[],
): Promise<Set<SignedFact>> {
  const checked = await Promise.all(
    facts.map(async (fact) => {
      const { keyId, payload, signature } = fact;
      // A key that is gone leaves a signature that nobody can check: not verified, and the chain is shown all the same.
      const fits = await deps
        .verifySignature(payload, { keyId, signature: Buffer.from(signature, 'hex') })
        .catch(() => false);
      return fits ? [fact] : [];
    }),
  );
  return new Set(checked.flat());
}

/** A decision row as it is shown: the members that this build fills. */
export const decisionView = ({ decision, rowHash }: StoredDecision): DecisionView => ({
  decisionId: decision.decisionId,
  env: decision.env,
  at: decision.at,
  lane: decision.lane,
  state: decision.state,
  code: decision.code,
  actor: decision.actor,
  subjectToken: decision.subjectToken,
  purpose: decision.purpose,
  inputsDigest: decision.inputsDigest,
  outputsDigest: decision.outputsDigest,
  confidence: decision.confidence,
  model: decision.model,
  version: decision.version,
  digest: decision.digest,
  arm: decision.arm,
  routingEpoch: decision.routingEpoch,
  routing: decision.routing,
  datasetVersion: decision.datasetVersion,
  contractVersion: decision.contractVersion,
  attempts: decision.attempts,
  fallback: decision.fallback,
  flags: decision.flags,
  warnings: decision.warnings,
  workflowId: decision.workflowId,
  latencyMs: decision.latencyMs,
  rowHash,
});
