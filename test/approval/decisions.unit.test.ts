import { countQuorum } from '../../src/domain/approval/count-quorum.js';
import type { SignedDecision } from '../../src/domain/approval/contract.js';
import { judgeApprovable, judgeDecision } from '../../src/domain/approval/judge-approvable.js';
import { verifyDecisions, type DecisionRow } from '../../src/domain/approval/verify-decisions.js';
import { DAY_MS } from '../../src/domain/units.js';

const by = (principalId: string, decision: SignedDecision['decision'] = 'approve') => ({
  principalId,
  decision,
});

describe('countQuorum', () => {
  it('counts people, not decisions', () => {
    expect(countQuorum([], 1)).toBe('PENDING');
    expect(countQuorum([by('a')], 2)).toBe('PARTIAL');
    expect(countQuorum([by('a'), by('a')], 2)).toBe('PARTIAL');
    expect(countQuorum([by('a'), by('b')], 2)).toBe('APPROVED');
  });
  it('ends at one refusal, whoever else approved', () => {
    expect(countQuorum([by('a'), by('b', 'reject')], 2)).toBe('REJECTED');
    expect(countQuorum([by('a', 'request_changes')], 1)).toBe('CHANGES_REQUESTED');
  });
});

type Judged = Parameters<typeof judgeApprovable>[1][number];
const criterion = (id: string, verdict: Judged['verdict'], more: Partial<Judged> = {}): Judged => ({
  id,
  verdict,
  severity: 'block',
  onInconclusive: 'block',
  waivable: false,
  ...more,
});

describe('judgeApprovable', () => {
  it('never lets an ERROR, an unwaivable FAIL or a blocking INCONCLUSIVE be asked about', () => {
    const { blocking } = judgeApprovable('FAIL', [
      criterion('error', 'ERROR', { waivable: true }),
      criterion('fail', 'FAIL'),
      criterion('open', 'INCONCLUSIVE'),
      criterion('fine', 'PASS'),
      criterion('warned', 'FAIL', { severity: 'warn' }),
    ]);
    expect(blocking.map(({ id }) => id)).toEqual(['error', 'fail', 'open']);
  });
  it('asks the approver to name what was skipped or left to review, and to waive what failed', () => {
    const approvable = judgeApprovable('INCONCLUSIVE', [
      criterion('skipped', 'SKIPPED'),
      criterion('review', 'INCONCLUSIVE', { onInconclusive: 'review' }),
      criterion('waivable', 'FAIL', { waivable: true }),
    ]);
    expect(approvable).toEqual({
      blocking: [],
      toAcknowledge: ['skipped', 'review'],
      toWaive: ['waivable'],
    });
    const at = { nowMs: 0, longestWaiverMs: 90 * DAY_MS };
    const bare = { decision: 'approve' as const, acknowledged: ['review'], waivers: [] };
    expect(judgeDecision(bare, approvable, at)).toEqual({
      unacknowledged: ['skipped'],
      unwaived: ['waivable'],
      refusedWaivers: [],
    });
    const waiver = (criterionId: string, days: number) => ({
      criterionId,
      reason: 'accepted for now',
      expiresAt: new Date(days * DAY_MS).toISOString(),
    });
    const tooLong = { ...bare, waivers: [waiver('waivable', 91), waiver('skipped', 1)] };
    expect(judgeDecision(tooLong, approvable, at).refusedWaivers).toEqual(['waivable', 'skipped']);
    expect(judgeDecision({ ...bare, decision: 'reject' }, approvable, at)).toEqual({
      unacknowledged: [],
      unwaived: [],
      refusedWaivers: [],
    });
  });
});

describe('verifyDecisions', () => {
  const digest = `sha256:${'a'.repeat(64)}`;
  const said: SignedDecision = {
    tenant: 't',
    approvalId: 'apr',
    subjectDigest: digest,
    decision: 'approve',
    principalId: 'ann',
    roles: ['approver'],
    reason: 'reads well enough',
    acknowledged: [],
    waivers: [],
    decidedAt: '2026-01-01T00:00:00.000Z',
    expiresAt: '2026-01-08T00:00:00.000Z',
    nonce: 'n1',
  };
  const row = (
    change: Partial<SignedDecision> = {},
    columns: Partial<DecisionRow> = {},
  ): DecisionRow => ({
    decisionId: 'dec',
    principalId: 'ann',
    payload: JSON.stringify({ ...said, ...change }),
    signature: new Uint8Array([1]),
    keyId: 'k',
    nonce: 'n1',
    ...columns,
  });
  const expected = { tenant: 't', approvalId: 'apr', subjectDigest: digest, required: 1 };
  const signed = () => Promise.resolve(true);

  it('accepts what was signed about this approval', async () => {
    expect(await verifyDecisions([row()], expected, signed)).toMatchObject({
      ok: true,
      state: 'APPROVED',
    });
  });
  it.each([
    ['another tenant', row({ tenant: 'u' })],
    ['another approval', row({ approvalId: 'other' })],
    ['another digest', row({ subjectDigest: `sha256:${'b'.repeat(64)}` })],
    ['another person than the row names', row({}, { principalId: 'bob' })],
    ['a nonce that is not the row’s', row({}, { nonce: 'n2' })],
    ['a person without the role', row({ roles: ['ml-engineer'] })],
  ])('refuses a decision about %s', async (_, bad) => {
    expect(await verifyDecisions([row(), bad], { ...expected, required: 2 }, signed)).toMatchObject(
      { ok: false },
    );
  });
  it('refuses a signature that does not verify, and one that cannot be checked', async () => {
    expect(await verifyDecisions([row()], expected, () => Promise.resolve(false))).toMatchObject({
      ok: false,
    });
    expect(
      await verifyDecisions([row()], expected, () => Promise.reject(new Error('no such key'))),
    ).toMatchObject({ ok: false });
  });
});
