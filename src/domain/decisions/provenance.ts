import { digestOf } from '../digest.js';
import type { ModelContract } from '../datasets/model-contract.js';
import type { DecisionRow, Provenance } from './contract.js';
import { decisionRowHash } from './row-hash.js';

/** A signed decision of an approver as stored. */
export interface SignedFact {
  by: string;
  decision: string;
  at: string;
  keyId: string;
  payload: string;
  /** Lower-case hex. */
  signature: string;
}

/** Everything behind one decision, as one query reads it; null where a link does not exist. Times are ISO 8601. */
export interface ProvenanceFacts {
  decision: DecisionRow;
  rowHash: string;
  leaf: { digest: string; sealedSeq: number | null } | null;
  routing: {
    env: string;
    epoch: number;
    actor: string;
    reason: string;
    at: string;
    document: unknown;
  } | null;
  release: NonNullable<Provenance['release']> | null;
  approval: {
    id: string;
    subject: unknown;
    subjectDigest: string;
    state: string;
    requestedBy: string;
    decisions: SignedFact[];
  } | null;
  evaluation: {
    id: string;
    verdict: string | null;
    /** Canonical JSON. */
    report: string | null;
    reportDigest: string | null;
  } | null;
  version: {
    artifactDigest: string;
    assurance: string;
    trainedBy: string;
    contract: ModelContract;
    contractDigest: string;
  } | null;
  run: {
    id: string;
    state: string;
    trainer: string;
    requestedBy: string;
    artifactDigest: string | null;
  } | null;
  snapshot: {
    id: string;
    dataset: string;
    state: string;
    rows: number;
    contractId: string;
    consentAsOf: string | null;
    sourceDigest: string | null;
  } | null;
}

function evaluationLink({ evaluation }: ProvenanceFacts): Provenance['evaluation'] {
  if (evaluation === null) return null;
  const { id, verdict, report, reportDigest } = evaluation;
  const verified =
    report !== null && digestOf('anneal.evaluation.report.v1', JSON.parse(report)) === reportDigest;
  return { id, verdict, reportDigest, verified };
}

function approvalLink(
  { approval }: ProvenanceFacts,
  isSigned: (fact: SignedFact) => boolean,
): Provenance['approval'] {
  if (approval === null) return null;
  const { id, subject, subjectDigest, state, requestedBy, decisions } = approval;
  return {
    id,
    subjectDigest,
    state,
    requestedBy,
    decisions: decisions.map((fact) => ({
      by: fact.by,
      decision: fact.decision,
      at: fact.at,
      keyId: fact.keyId,
      payloadDigest: digestOf('anneal.approval.payload.v1', Buffer.from(fact.payload)),
      verified: isSigned(fact),
    })),
    verified: digestOf('anneal.approval.subject.v1', subject) === subjectDigest,
  };
}

const versionLink = ({ version, decision }: ProvenanceFacts): Provenance['version'] =>
  version && {
    model: decision.model,
    version: decision.version,
    artifactDigest: version.artifactDigest,
    assurance: version.assurance,
    trainedBy: version.trainedBy,
    verified: version.artifactDigest === decision.digest,
  };

const contractLink = ({ version, decision }: ProvenanceFacts): Provenance['contract'] =>
  version && {
    digest: version.contractDigest,
    verified:
      version.contractDigest === decision.contractVersion &&
      digestOf('anneal.model.contract', version.contract) === version.contractDigest,
  };

/**
 * The chain behind a decision: every digest that can be recomputed is recomputed, and `verified` says whether it fits.
 * @param isSigned whether the signature of an approver's decision fits its payload and key
 */
export function provenanceOf(
  facts: ProvenanceFacts,
  isSigned: (fact: SignedFact) => boolean,
): Provenance {
  const { decision, rowHash, leaf, routing, run, version, snapshot } = facts;
  return {
    decision: {
      id: decision.decisionId,
      at: decision.at,
      state: decision.state,
      arm: decision.arm,
      bucket: decision.routing?.bucket ?? null,
      rowHash,
      verified: decisionRowHash(decision) === rowHash && leaf?.digest === rowHash,
      auditSeq: leaf?.sealedSeq ?? null,
    },
    routing: routing && {
      ...routing,
      digest: digestOf('anneal.routing.document.v1', routing.document),
    },
    release: facts.release,
    approval: approvalLink(facts, isSigned),
    evaluation: evaluationLink(facts),
    version: versionLink(facts),
    contract: contractLink(facts),
    run: run && {
      ...run,
      verified: run.artifactDigest !== null && run.artifactDigest === version?.artifactDigest,
    },
    snapshot,
  };
}
