import type { ErrorCode } from '../errors.js';
import type { ReleaseCheck, ReleasePlan } from './contract.js';
import { blockingKill, type KillInForce } from './routing.js';

/** What is known before anything moves. Times in ms since the epoch. */
export interface PreflightFacts {
  version: number;
  assurance: string;
  /** True where the stored bytes still have the registered digest. */
  artifactMatches: boolean;
  /** Pointers of contract fields that callers of the active version rely on and the candidate breaks. */
  contractBreaks: string[];
  /** The approval names the break. */
  contractBreakApproved: boolean;
  barredAtMs: number | null;
  /** When the approval was requested: a bar ends with a newer one. */
  approvalRequestedAtMs: number | null;
  approval: { ok: true } | { ok: false; code: string; reason: string };
  active: number | null;
  kills: KillInForce[];
  /** For a rollback: whether the version was ACTIVE here. */
  wasActive: boolean;
}

const withdrawn = ['QUARANTINED', 'RETIRED', 'ERASED'];

const check = (name: string, ok: boolean, detail: string): ReleaseCheck => ({
  check: name,
  verdict: ok ? 'PASS' : 'FAIL',
  detail,
});

/** The checks that every strategy needs. */
function commonChecks(facts: PreflightFacts, plan: ReleasePlan): ReleaseCheck[] {
  const { version } = facts;
  const kill = blockingKill(facts.kills, { version, strategy: plan.strategy });
  return [
    check('assurance', !withdrawn.includes(facts.assurance), facts.assurance),
    check('artifact', facts.artifactMatches, 'stored bytes against the registered digest'),
    check('kill', kill === undefined, kill?.killId ?? 'no kill on the scope'),
  ];
}

/**
 * Judges the facts of a release before its first step; anything that is not PASS ends it. A rollback needs no approval
 * and no compatible contract, only a version that was ACTIVE here and is not withdrawn.
 */
export function judgePreflight(facts: PreflightFacts, plan: ReleasePlan): ReleaseCheck[] {
  if (plan.strategy === 'rollback') {
    return [
      ...commonChecks(facts, plan),
      check('was_active', facts.wasActive, 'ACTIVE here before'),
    ];
  }
  const barred =
    facts.barredAtMs !== null &&
    (facts.approvalRequestedAtMs === null || facts.approvalRequestedAtMs <= facts.barredAtMs);
  const breaks = facts.contractBreaks.join(' ');
  return [
    check(
      'approval',
      facts.approval.ok,
      facts.approval.ok ? 'verified' : `${facts.approval.code}: ${facts.approval.reason}`,
    ),
    ...commonChecks(facts, plan),
    check('bar', !barred, barred ? 'rolled back since the approval was requested' : 'not barred'),
    check(
      'contract',
      facts.contractBreaks.length === 0 || facts.contractBreakApproved,
      breaks === '' ? 'compatible' : breaks.slice(0, 500),
    ),
    check(
      'champion',
      plan.shadow === undefined || facts.active !== null,
      facts.active === null ? 'no active version' : `v${facts.active}`,
    ),
  ];
}

const codes: Record<string, ErrorCode> = {
  approval: 'APPROVAL_INVALID',
  assurance: 'VERSION_NOT_RELEASABLE',
  artifact: 'ARTIFACT_CORRUPT',
  kill: 'KILLED',
  bar: 'VERSION_BARRED',
  contract: 'CONTRACT_INCOMPATIBLE',
  champion: 'PLAN_UNSUPPORTED',
  was_active: 'ROLLBACK_TARGET_INVALID',
};

/** The error code of the first check that failed; undefined where all passed. */
export function preflightCode(checks: readonly ReleaseCheck[]): ErrorCode | undefined {
  const failed = checks.find(({ verdict }) => verdict !== 'PASS');
  return failed === undefined ? undefined : (codes[failed.check] ?? 'OPERATION_FAILED');
}
