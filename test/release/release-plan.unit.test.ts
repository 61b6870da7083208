import { completePlan, releasePlanSchema } from '../../src/domain/release/contract.js';
import { planDigest, planOf } from '../../src/domain/release/plan-digest.js';
import { frozenUntil } from '../../src/domain/release/frozen-until.js';
import { unsupportedPlanFields } from '../../src/domain/release/unsupported-plan.js';
import { planWith } from './plans.js';

describe('a rollout plan', () => {
  it('has the defaults of the specification', () => {
    expect(planWith({ shadow: {} })).toMatchObject({
      maxErrorRateBp: 100,
      errorMarginBp: 200,
      bakeMs: 3_600_000,
      tickMs: 30_000,
      verifyMs: 60_000,
      propagationTimeoutMs: 60_000,
      rollbackRetentionMs: 2_592_000_000,
      onInconclusive: 'pause',
      pauseTimeoutMs: 86_400_000,
      steps: [],
      freezeWindows: [],
      shadow: {
        sampleRateBp: 10_000,
        minPairs: 1_000,
        minDurationMs: 86_400_000,
        maxDurationMs: 604_800_000,
        maxDisagreementBp: 500,
        maxErrorRateBp: 100,
        maxLatencyRatio: 1.25,
        tickMs: 60_000,
      },
    });
    const canary = completePlan(releasePlanSchema.parse({ strategy: 'canary' }));
    expect(canary.steps.map(({ weightBp }) => weightBp)).toEqual([100, 500, 2_500, 5_000, 10_000]);
  });

  it('has one digest however much of it is spelled out, and another for any other value', () => {
    const short = planDigest({ strategy: 'blue_green' });
    expect(planDigest(planWith())).toBe(short);
    expect(planDigest({ strategy: 'blue_green', steps: [], bakeMs: 3_600_000 })).toBe(short);
    expect(planDigest({ strategy: 'blue_green', bakeMs: 3_600_001 })).not.toBe(short);
    expect(planDigest({ strategy: 'blue_green', shadow: {} })).not.toBe(short);
  });

  it('is taken out of a request that carries more', () => {
    const request = { version: 7, approvalId: 'apr_x', strategy: 'blue_green', bakeMs: 5 };
    expect(planOf(request)).toEqual(planWith({ bakeMs: 5 }));
  });

  it('names every field that cannot be honoured, and ignores none', () => {
    const plan = planWith({
      strategy: 'canary',
      errorMarginBp: 100,
      guardrails: ['error', 'latency_tail'],
      primaryMetric: { name: 'auc', labelWindowMs: 1 },
      segments: ['de'],
      shadow: { costCapMicroUsd: 5 },
    });
    expect(unsupportedPlanFields(plan).map(({ pointer }) => pointer)).toEqual([
      '/strategy',
      '/steps',
      '/errorMarginBp',
      '/guardrails/1',
      '/primaryMetric/name',
      '/segments',
      '/shadow/costCapMicroUsd',
    ]);
    expect(unsupportedPlanFields(planWith({ shadow: {}, steps: [] }))).toEqual([]);
  });
});

describe('a freeze', () => {
  const at = (hour: number) => `2026-12-24T${String(hour).padStart(2, '0')}:00:00Z`;
  const ms = (hour: number) => Date.parse(at(hour));
  const windows = [
    { from: at(12), to: at(14) },
    { from: at(8), to: at(10) },
    { from: at(10), to: at(11) },
  ];

  it('holds from its start to its end, windows that touch as one', () => {
    expect(frozenUntil(windows, ms(8))).toBe(ms(11));
    expect(frozenUntil(windows, ms(10) - 1)).toBe(ms(11));
    expect(frozenUntil(windows, ms(12) + 5)).toBe(ms(14));
  });

  it('is off outside every window and at the moment it ends', () => {
    expect(frozenUntil(windows, ms(7))).toBeNull();
    expect(frozenUntil(windows, ms(11))).toBeNull();
    expect(frozenUntil(windows, ms(14))).toBeNull();
  });
});
