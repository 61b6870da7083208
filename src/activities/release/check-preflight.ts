import { heartbeat } from '@temporalio/activity';
import { contractBreaks } from '../../domain/datasets/contract-breaks.js';
import { parseModelContract } from '../../domain/datasets/model-contract.js';
import type { ReleaseProgress } from '../../domain/release/contract.js';
import {
  judgePreflight,
  preflightCode,
  type PreflightFacts,
} from '../../domain/release/preflight.js';
import type { ReleaseRecord, StoredFacts } from '../../domain/release/record.js';
import { transition } from '../../domain/release/transitions.js';
import { workflowCaller } from '../run-of.js';
import type { ApprovalAnswer, ReleaseDeps, ReleaseStepRef } from './release-deps.js';
import { revert } from './revert.js';

type Deps = Pick<
  ReleaseDeps,
  | 'loadRelease'
  | 'advanceRelease'
  | 'preflightFacts'
  | 'readPointer'
  | 'verifyApproval'
  | 'artifactMatches'
>;

/** Pointers of the fields in which callers of the active version would be broken. */
function breaksOf(facts: StoredFacts): string[] {
  if (facts.activeContract === null) return [];
  const before = parseModelContract(facts.activeContract);
  const after = parseModelContract(facts.contract);
  if (!before.ok || !after.ok) return ['/'];
  return contractBreaks(before.contract, after.contract).map(({ pointer }) => pointer);
}

async function approvalOf(
  deps: Deps,
  record: ReleaseRecord,
): Promise<ApprovalAnswer | { ok: true }> {
  if (record.strategy === 'rollback') return { ok: true };
  if (record.approvalId === null) {
    return { ok: false, code: 'APPROVAL_INVALID', reason: 'the release names no approval' };
  }
  const { tenant, approvalId, name, version, env, planDigest } = record;
  return deps.verifyApproval(tenant, { approvalId, model: name, version, env, planDigest });
}

async function gather(deps: Deps, record: ReleaseRecord): Promise<PreflightFacts> {
  const { tenant, version } = record;
  const facts = await deps.preflightFacts(tenant, record);
  const { routing, kills } = await deps.readPointer(tenant, record);
  return {
    version,
    assurance: facts.assurance,
    artifactMatches: await deps.artifactMatches(facts.artifactRef, facts.artifactDigest),
    contractBreaks: breaksOf(facts),
    contractBreakApproved: facts.approval?.contractBreak ?? false,
    barredAtMs: facts.barredAtMs,
    approvalRequestedAtMs: facts.approval?.requestedAtMs ?? null,
    approval: await approvalOf(deps, record),
    active: routing?.active ?? null,
    kills,
    wasActive: facts.wasActive,
  };
}

/** Several within the heartbeat timeout of the step. */
const BEAT_MS = 2_500;

/** Beats while facts are gathered: a large artifact is read for minutes, and a worker that dies over it is missed at once. */
async function beating<T>(work: () => Promise<T>): Promise<T> {
  const timer = setInterval(() => heartbeat(), BEAT_MS);
  try {
    return await work();
  } finally {
    clearInterval(timer);
  }
}

/** Judges the facts before anything moves: on to WARMING, or back with the check that failed. Idempotent. */
export const createCheckPreflight =
  (deps: Deps) =>
  async ({ tenant, releaseId, seq }: ReleaseStepRef): Promise<ReleaseProgress> => {
    const record = await deps.loadRelease(tenant, releaseId);
    const { progress, plan } = record;
    if (progress.seq !== seq || progress.queuedBehind !== null) return progress;
    const checks = judgePreflight(await beating(() => gather(deps, record)), plan);
    const code = preflightCode(checks);
    if (code !== undefined) {
      const failed = checks.filter(({ verdict }) => verdict !== 'PASS');
      const reason = failed.map(({ check, detail }) => `${check}: ${detail ?? ''}`).join('; ');
      return revert(deps, record, { cause: 'PREFLIGHT_FAILED', reason, checks, code });
    }
    const machine = transition(progress, { type: 'PREFLIGHT_PASSED' }, plan);
    if (machine === undefined) return progress;
    return deps.advanceRelease(workflowCaller(tenant), {
      releaseId,
      expectedSeq: seq,
      machine,
      reason: 'every fact holds',
      checks,
      waitingOn: 'processes',
      word: 'checked',
    });
  };
