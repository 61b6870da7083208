import { judgeErrorRate, judgeLabelAccuracy } from '../../src/domain/release/judge-live.js';
import {
  judgePreflight,
  preflightCode,
  type PreflightFacts,
} from '../../src/domain/release/preflight.js';
import {
  judgePropagation,
  judgeReadiness,
  type ServingLease,
} from '../../src/domain/release/readiness.js';
import {
  blockingKill,
  killColumn,
  killOn,
  type KillInForce,
} from '../../src/domain/release/routing.js';
import { planWith } from './plans.js';

const facts: PreflightFacts = {
  version: 7,
  assurance: 'APPROVED',
  artifactMatches: true,
  contractBreaks: [],
  contractBreakApproved: false,
  barredAtMs: null,
  approvalRequestedAtMs: 2_000,
  approval: { ok: true },
  active: 6,
  kills: [],
  wasActive: false,
};
const kill = (more: Partial<KillInForce> = {}): KillInForce => ({
  killId: 'kil_1',
  scope: 'model',
  mode: 'fallback',
  version: null,
  ...more,
});

describe('preflight', () => {
  it.each([
    ['APPROVAL_INVALID', { approval: { ok: false, code: 'APPROVAL_INVALID', reason: 'edited' } }],
    ['VERSION_NOT_RELEASABLE', { assurance: 'QUARANTINED' }],
    ['VERSION_NOT_RELEASABLE', { assurance: 'ERASED' }],
    ['ARTIFACT_CORRUPT', { artifactMatches: false }],
    ['KILLED', { kills: [kill()] }],
    ['VERSION_BARRED', { barredAtMs: 2_000 }],
    ['CONTRACT_INCOMPATIBLE', { contractBreaks: ['/input/fields/age/max'] }],
  ] as const)('ends as %s where %j', (code, wrong) => {
    expect(
      preflightCode(judgePreflight({ ...facts, ...wrong } as PreflightFacts, planWith())),
    ).toBe(code);
  });

  it('passes when every fact holds, an approved break included, and a bar that is older than the approval', () => {
    const more = {
      contractBreaks: ['/input/fields/age'],
      contractBreakApproved: true,
      barredAtMs: 1_999,
    };
    expect(preflightCode(judgePreflight({ ...facts, ...more }, planWith()))).toBeUndefined();
  });

  it('refuses a shadow without an active version to compare with', () => {
    const checks = judgePreflight({ ...facts, active: null }, planWith({ shadow: {} }));
    expect(preflightCode(checks)).toBe('PLAN_UNSUPPORTED');
  });

  it('lets a rollback through a kill of the model, not through one of the version, and only to what was active', () => {
    const plan = planWith({ strategy: 'rollback' });
    const back = { ...facts, wasActive: true, approval: { ok: false, code: 'x', reason: 'none' } };
    const judged = (more: Partial<PreflightFacts>) =>
      preflightCode(judgePreflight({ ...back, ...more }, plan));
    expect(judged({ kills: [kill({ mode: 'fail_closed' })] })).toBeUndefined();
    expect(judged({ kills: [kill({ scope: 'version', version: 7 })] })).toBe('KILLED');
    expect(judged({ wasActive: false })).toBe('ROLLBACK_TARGET_INVALID');
  });
});

describe('kill switches', () => {
  it('a fallback kill of the model stops what serves and spares what stands in', () => {
    expect(killOn([kill()], 7)).toBeDefined();
    expect(killOn([kill()], 6, 'fallback')).toBeUndefined();
  });

  it('a fail-closed kill stops both, and wins over a fallback kill', () => {
    const both = [kill(), kill({ killId: 'kil_2', mode: 'fail_closed' })];
    expect(killOn(both, 6, 'fallback')?.killId).toBe('kil_2');
    expect(killOn(both, 7)?.killId).toBe('kil_2');
    expect(killColumn(both)).toMatchObject({ killId: 'kil_2', all: [{}, {}] });
  });

  it('a kill of a version stops that version wherever it stands, and no other', () => {
    const one = [kill({ scope: 'version', version: 6 })];
    expect(killOn(one, 6, 'fallback')).toBeDefined();
    expect(killOn(one, 7)).toBeUndefined();
    expect(blockingKill(one, { version: 7, strategy: 'blue_green' })).toBeUndefined();
  });

  it('none is null', () => {
    expect(killColumn([])).toBeNull();
  });
});

describe('serving processes', () => {
  const lease = (more: Partial<ServingLease> = {}): ServingLease => ({
    processId: 'prc_1',
    role: 'inference',
    epoch: 4,
    ready: [6, 7],
    failures: {},
    ageMs: 120,
    ...more,
  });
  const late = lease({ processId: 'prc_2', ready: [6], epoch: 3 });

  it('one that has everything is enough for a first weight, all are needed for the last', () => {
    expect(judgeReadiness([lease(), late], [6, 7], 'one').ok).toBe(true);
    expect(judgeReadiness([lease(), late], [6, 7], 'all')).toMatchObject({
      ok: false,
      laggards: ['prc_2 v7 not loaded (seen 120 ms ago)'],
    });
  });

  it('no live inference process is never ready, whatever the API processes hold', () => {
    const api = lease({ role: 'api' });
    expect(judgeReadiness([api], [7], 'one').ok).toBe(false);
    expect(judgeReadiness([api], [7], 'all').ok).toBe(false);
  });

  it('waiting is hopeless where every process refused the version for good', () => {
    const refused = lease({ ready: [6], failures: { 7: 'GOLDEN_MISMATCH: probe 2' } });
    expect(judgeReadiness([refused], [7], 'one').hopeless).toBe(true);
    const away = lease({ ready: [6], failures: { 7: 'STORE_UNAVAILABLE: away' } });
    expect(judgeReadiness([refused, away], [7], 'one').hopeless).toBe(false);
  });

  it('an epoch is propagated when every live process of either role holds it or a newer one', () => {
    const api = lease({ processId: 'prc_3', role: 'api', epoch: 5 });
    expect(judgePropagation([lease(), api], 4).ok).toBe(true);
    expect(judgePropagation([lease(), api, late], 4)).toMatchObject({
      ok: false,
      laggards: ['prc_2 holds epoch 3 (seen 120 ms ago)'],
    });
  });
});

describe('what is measured after the promotion', () => {
  it('no traffic is INCONCLUSIVE, never a pass', () => {
    expect(judgeErrorRate({ n: 0, errors: 0 }, 100).verdict).toBe('INCONCLUSIVE');
  });

  it('passes only when the upper end is inside: 0 of 400 is 0.951 %, 0 of 100 is 3.699 %', () => {
    expect(judgeErrorRate({ n: 400, errors: 0 }, 100)).toMatchObject({ verdict: 'PASS' });
    expect(judgeErrorRate({ n: 400, errors: 0 }, 100).interval?.high).toBeCloseTo(0.00951, 5);
    expect(judgeErrorRate({ n: 100, errors: 0 }, 100)).toMatchObject({ verdict: 'INCONCLUSIVE' });
  });

  it('fails when the lower end is above the bound, or at half of 20 requests', () => {
    expect(judgeErrorRate({ n: 400, errors: 12 }, 100).verdict).toBe('FAIL');
    expect(judgeErrorRate({ n: 20, errors: 10 }, 9_000).verdict).toBe('FAIL');
    expect(judgeErrorRate({ n: 19, errors: 10 }, 9_000).verdict).toBe('PASS');
  });

  it('labels fail a version that is surely worse than it was evaluated, from the minimum on', () => {
    const bound = { reference: 0.85, marginBp: 200, minLabels: 300 };
    expect(judgeLabelAccuracy({ n: 400, correct: 300 }, bound).verdict).toBe('FAIL');
    expect(judgeLabelAccuracy({ n: 299, correct: 100 }, bound).verdict).toBe('INCONCLUSIVE');
    expect(judgeLabelAccuracy({ n: 400, correct: 335 }, bound).verdict).toBe('INCONCLUSIVE');
    expect(judgeLabelAccuracy({ n: 4_000, correct: 3_400 }, bound).verdict).toBe('PASS');
  });
});
