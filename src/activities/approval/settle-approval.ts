import type { ApprovalState } from '../../domain/approval/contract.js';
import { verifyDecisions, type DecisionRow } from '../../domain/approval/verify-decisions.js';
import { PlatformError } from '../../domain/errors.js';
import type { Caller } from '../../domain/events/change.js';
import { workflowCaller } from '../run-of.js';

/** An approval as the activity reads it, with its decisions and the digest of the facts as they are now. */
interface ApprovalFacts {
  state: ApprovalState;
  required: number;
  subjectDigest: string;
  /** Recomputed from version, evaluation and plan as they are now; undefined where one is gone. */
  currentDigest: string | undefined;
  /** Milliseconds until expiry by the database's clock; 0 or less where it has passed. */
  remainingMs: number;
  decisions: DecisionRow[];
}

/** What the workflow learns. */
export interface SettledApproval {
  state: ApprovalState;
  remainingMs: number;
  /** `1 of 2`. */
  decided: string;
}

export interface SettleApprovalDeps {
  readApproval: (tenant: string, approvalId: string) => Promise<ApprovalFacts | undefined>;
  isSigned: (
    payload: string,
    signature: { keyId: string; signature: Uint8Array },
  ) => Promise<boolean>;
  /** Expires an open approval if the database's clock agrees; answers the state it has then. */
  expireApproval: (caller: Caller, approvalId: string) => Promise<ApprovalState>;
  /** Closes an open or already decided approval as INVALIDATED. */
  invalidateApproval: (caller: Caller, approvalId: string, reason: string) => Promise<void>;
  /** Carries a decided approval over to the version: assurance, event, audit. Repeating it changes nothing. */
  applyApproval: (caller: Caller, approvalId: string, state: ApprovalState) => Promise<void>;
}

/**
 * Re-reads the signed facts and acts on them: applies what people decided, expires what is over by the database's
 * clock, invalidates what was tampered with or whose subject changed. Idempotent.
 */
export const createSettleApproval =
  (deps: SettleApprovalDeps) =>
  async ({
    tenant,
    approvalId,
  }: {
    tenant: string;
    approvalId: string;
  }): Promise<SettledApproval> => {
    const facts = await deps.readApproval(tenant, approvalId);
    if (facts === undefined) throw new PlatformError('NOT_FOUND', 'There is no such approval.');
    const caller = workflowCaller(tenant);
    const decided = `${facts.decisions.length} of ${facts.required}`;
    const settled = (state: ApprovalState): SettledApproval => ({
      state,
      remainingMs: facts.remainingMs,
      decided,
    });
    if (facts.state === 'EXPIRED' || facts.state === 'WITHDRAWN' || facts.state === 'INVALIDATED') {
      await deps.applyApproval(caller, approvalId, facts.state);
      return settled(facts.state);
    }
    const verified = await verifyDecisions(
      facts.decisions,
      { tenant, approvalId, ...facts },
      deps.isSigned,
    );
    const wrong = !verified.ok
      ? verified.reason
      : facts.currentDigest !== facts.subjectDigest
        ? 'a part of what was to be approved has changed'
        : verified.state !== facts.state
          ? `the row says ${facts.state}, the signed decisions say ${verified.state}`
          : undefined;
    if (wrong !== undefined) {
      await deps.invalidateApproval(caller, approvalId, wrong);
      await deps.applyApproval(caller, approvalId, 'INVALIDATED');
      return settled('INVALIDATED');
    }
    if (facts.state !== 'PENDING' && facts.state !== 'PARTIAL') {
      await deps.applyApproval(caller, approvalId, facts.state);
      return settled(facts.state);
    }
    if (facts.remainingMs > 0) return settled(facts.state);
    const state = await deps.expireApproval(caller, approvalId);
    if (state === 'EXPIRED') await deps.applyApproval(caller, approvalId, state);
    return settled(state);
  };
