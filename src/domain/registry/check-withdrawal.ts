// The assurance axis of a model version:
// REGISTERED → EVALUATING → EVALUATED → PENDING_APPROVAL → APPROVED | REJECTED | EXPIRED; a version may be evaluated
// again until it is withdrawn. From anywhere to QUARANTINED, RETIRED or ERASED; an approver returns a QUARANTINED one
// to EVALUATED, ERASED is final.
import type { Assurance } from './contract.js';

const withdrawn = ['QUARANTINED', 'RETIRED', 'ERASED'] as const satisfies Assurance[];

const next: Record<Assurance, readonly Assurance[]> = {
  REGISTERED: ['EVALUATING', ...withdrawn],
  EVALUATING: ['EVALUATED', 'REGISTERED', ...withdrawn],
  EVALUATED: ['EVALUATING', 'PENDING_APPROVAL', ...withdrawn],
  PENDING_APPROVAL: ['APPROVED', 'REJECTED', 'EXPIRED', 'EVALUATED', ...withdrawn],
  APPROVED: ['EVALUATING', 'EVALUATED', 'EXPIRED', ...withdrawn],
  REJECTED: ['EVALUATING', 'PENDING_APPROVAL', ...withdrawn],
  EXPIRED: ['EVALUATING', 'PENDING_APPROVAL', ...withdrawn],
  QUARANTINED: ['EVALUATED', 'RETIRED', 'ERASED'],
  RETIRED: ['QUARANTINED', 'ERASED'],
  ERASED: [],
};

/** States that a version may move to from `from`. */
const allowedAssurance = (from: Assurance): readonly Assurance[] => next[from];

/** Why a version cannot be withdrawn; undefined where it can. */
export interface WithdrawalRefusal {
  from: string;
  allowed: readonly Assurance[];
  /** Environments in which it is ACTIVE, if that is the reason. */
  activeIn: string[];
}

/**
 * Checks a quarantine or a retirement: refused while the version is ACTIVE anywhere (roll it back or kill it first)
 * and where the assurance axis does not allow the step.
 */
export function checkWithdrawal(
  version: { assurance: Assurance; deployments: { env: string; state: string }[] },
  to: 'QUARANTINED' | 'RETIRED',
): WithdrawalRefusal | undefined {
  const activeIn = version.deployments
    .filter(({ state }) => state === 'ACTIVE')
    .map(({ env }) => env);
  const allowed = allowedAssurance(version.assurance);
  if (activeIn.length > 0) return { from: 'ACTIVE', allowed: [], activeIn };
  return allowed.includes(to) ? undefined : { from: version.assurance, allowed, activeIn };
}
