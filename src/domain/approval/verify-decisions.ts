import { countQuorum } from './count-quorum.js';
import { signedDecisionSchema, type SignedDecision } from './contract.js';

/** A decision row as it was read: the signed text, and the columns that must say the same. */
export interface DecisionRow {
  decisionId: string;
  principalId: string;
  payload: string;
  signature: Uint8Array;
  keyId: string;
  nonce: string;
}

/** The signed facts behind an approval, or why they do not hold. */
export type VerifiedDecisions =
  | { ok: true; decisions: SignedDecision[]; state: ReturnType<typeof countQuorum> }
  | { ok: false; reason: string };

/**
 * Re-reads what people signed. A row counts only if its signature verifies, its text is about this approval and this
 * subject, and the columns beside it say the same; one bad row spoils the approval, because someone edited it.
 */
export async function verifyDecisions(
  rows: DecisionRow[],
  expected: { tenant: string; approvalId: string; subjectDigest: string; required: number },
  isSigned: (
    payload: string,
    signature: { keyId: string; signature: Uint8Array },
  ) => Promise<boolean>,
): Promise<VerifiedDecisions> {
  const decisions: SignedDecision[] = [];
  for (const row of rows) {
    const genuine = await isSigned(row.payload, {
      keyId: row.keyId,
      signature: row.signature,
    }).catch(() => false);
    if (!genuine)
      return { ok: false, reason: `decision ${row.decisionId} is not signed by the approval key` };
    const parsed = signedDecisionSchema.safeParse(JSON.parse(row.payload));
    if (!parsed.success) return { ok: false, reason: `decision ${row.decisionId} is not readable` };
    const said = parsed.data;
    const same =
      said.tenant === expected.tenant &&
      said.approvalId === expected.approvalId &&
      said.subjectDigest === expected.subjectDigest &&
      said.principalId === row.principalId &&
      said.nonce === row.nonce;
    if (!same)
      return { ok: false, reason: `decision ${row.decisionId} was made about something else` };
    if (!said.roles.includes('approver')) {
      return { ok: false, reason: `decision ${row.decisionId} was made without the role approver` };
    }
    decisions.push(said);
  }
  return { ok: true, decisions, state: countQuorum(decisions, expected.required) };
}
