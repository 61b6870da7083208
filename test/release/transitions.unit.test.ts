import { releaseStates, type ReleaseState } from '../../src/domain/release/contract.js';
import {
  allowedOrders,
  barsVersion,
  endOf,
  eventOfOrder,
  finalReleaseStates,
  transition,
  type ReleaseMachine,
} from '../../src/domain/release/transitions.js';
import { planWith } from './plans.js';

const machineAt = (state: ReleaseState, more: Partial<ReleaseMachine> = {}): ReleaseMachine => ({
  state,
  pausedFrom: null,
  pauseReason: null,
  cause: null,
  ...more,
});
const plain = planWith();

describe('orders of people', () => {
  it('pause and resume come back to the very state, from every state that can be held', () => {
    for (const state of releaseStates) {
      const paused = transition(machineAt(state), eventOfOrder('pause'), plain);
      if (paused === undefined) continue;
      expect(paused).toMatchObject({ state: 'PAUSED', pausedFrom: state });
      expect(transition(paused, eventOfOrder('resume'), plain)?.state).toBe(state);
    }
  });

  it('an undecided shadow is left by proceed, never by resume', () => {
    const paused = machineAt('PAUSED', { pausedFrom: 'SHADOWING', pauseReason: 'SHADOW_REVIEW' });
    expect(allowedOrders(paused, plain)).toEqual(['proceed', 'abort']);
    expect(transition(paused, eventOfOrder('proceed'), plain)?.state).toBe('PROMOTING');
  });

  it('a pause of a person is not left by proceed: the shadow is not skipped', () => {
    const paused = machineAt('PAUSED', { pausedFrom: 'SHADOWING', pauseReason: 'OPERATOR' });
    expect(allowedOrders(paused, plain)).toEqual(['resume', 'abort']);
  });

  it('nothing is allowed once a release has ended or is going back', () => {
    for (const state of [...finalReleaseStates, 'ROLLING_BACK' as const]) {
      expect(allowedOrders(machineAt(state), plain)).toEqual([]);
    }
  });

  it('a rollback is never held, and is not undone once it has moved the pointer', () => {
    const plan = planWith({ strategy: 'rollback' });
    expect(allowedOrders(machineAt('PROMOTING'), plan)).toEqual(['abort']);
    expect(allowedOrders(machineAt('VERIFYING'), plan)).toEqual([]);
  });
});

describe('how a release ends', () => {
  it('is ABORTED by a person or before anything began, SUPERSEDED by a newer one, else ROLLED_BACK', () => {
    expect(endOf('ABORTED')).toBe('ABORTED');
    expect(endOf('PREFLIGHT_FAILED')).toBe('ABORTED');
    expect(endOf('SUPERSEDED')).toBe('SUPERSEDED');
    for (const cause of ['ERROR_RATE', 'SHADOW_FAILED', 'PAUSE_TIMEOUT', 'CANCELLED'] as const) {
      expect(endOf(cause)).toBe('ROLLED_BACK');
    }
  });

  it('bars a version that held weight or failed its shadow, and nobody else', () => {
    const held = { promoted: true, strategy: 'blue_green' } as const;
    const never = { promoted: false, strategy: 'blue_green' } as const;
    expect(barsVersion('ERROR_RATE', held)).toBe(true);
    expect(barsVersion('ABORTED', held)).toBe(true);
    expect(barsVersion('SHADOW_FAILED', never)).toBe(true);
    expect(barsVersion('PAUSE_TIMEOUT', never)).toBe(false);
    expect(barsVersion('PREFLIGHT_FAILED', never)).toBe(false);
  });

  it('weight steps come before the promotion where a plan has some', () => {
    const canary = planWith({ strategy: 'canary' });
    expect(transition(machineAt('WARMING'), { type: 'WARMED' }, canary)?.state).toBe('SHIFTING');
  });
});
