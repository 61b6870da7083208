import fc from 'fast-check';
import type { ReleasePlan, RevertCause } from '../../src/domain/release/contract.js';
import {
  nothingLive,
  promoted,
  restored,
  shadowed,
  type Pointers,
} from '../../src/domain/release/routing.js';
import {
  isFinalRelease,
  legalMoves,
  transition,
  type ReleaseEvent,
  type ReleaseMachine,
} from '../../src/domain/release/transitions.js';
import { planWith } from './plans.js';

/** One target with the release that is on it, as the store keeps them: the model that the property drives. */
class World {
  epoch = 0;
  live: Pointers = nothingLive;
  /** Versions that an approval allows, and those that were ACTIVE once. */
  readonly approved = new Set<number>();
  readonly wasActive = new Set<number>();
  readonly visited: string[] = [];
  release:
    | {
        version: number;
        plan: ReleasePlan;
        machine: ReleaseMachine;
        earlier: Pointers | undefined;
        moves: number;
      }
    | undefined;

  start(version: number, plan: ReleasePlan): void {
    const rollback = plan.strategy === 'rollback';
    if (this.release !== undefined || this.live.active === version) return;
    if (rollback && !this.wasActive.has(version)) return;
    if (!rollback) this.approved.add(version);
    const machine = {
      state: 'PREFLIGHT',
      pausedFrom: null,
      pauseReason: null,
      cause: null,
    } as const;
    this.release = { version, plan, machine, earlier: undefined, moves: 0 };
  }

  happen(event: ReleaseEvent): void {
    const { release } = this;
    if (release === undefined) return;
    const before = release.machine;
    const after = transition(before, event, release.plan);
    if (after === undefined) return;
    expect(legalMoves[before.state]).toContain(after.state);
    expect(isFinalRelease(before.state)).toBe(false);
    release.machine = after;
    this.visited.push(after.state);
    this.effect(event, before);
    if (isFinalRelease(after.state)) this.release = undefined;
  }

  private effect(event: ReleaseEvent, before: ReleaseMachine): void {
    const { release } = this;
    if (release === undefined) return;
    const { version } = release;
    const move = (next: Pointers) => {
      release.earlier ??= this.live;
      release.moves += 1;
      this.epoch += 1;
      this.live = next;
      if (next.active !== null) this.wasActive.add(next.active);
    };
    if (release.machine.state === 'SHADOWING' && before.state === 'WARMING') {
      move(shadowed(this.live, { shadowId: 'shd', version, sampleRateBp: 10_000 }));
    }
    if (event.type === 'PROMOTED') move(promoted(this.live, version));
    if (event.type === 'REVERTED' && release.earlier !== undefined) {
      move(restored(this.live, release.earlier, version));
    }
  }
}

const causes: RevertCause[] = ['ABORTED', 'SUPERSEDED', 'ERROR_RATE', 'PAUSE_TIMEOUT', 'FAILED'];
const eventArbitrary: fc.Arbitrary<ReleaseEvent> = fc.oneof(
  { weight: 4, arbitrary: fc.constant<ReleaseEvent>({ type: 'PREFLIGHT_PASSED' }) },
  { weight: 4, arbitrary: fc.constant<ReleaseEvent>({ type: 'WARMED' }) },
  { weight: 4, arbitrary: fc.constant<ReleaseEvent>({ type: 'SHADOW_PASSED' }) },
  { weight: 4, arbitrary: fc.constant<ReleaseEvent>({ type: 'PROMOTED' }) },
  { weight: 3, arbitrary: fc.constant<ReleaseEvent>({ type: 'VERIFIED' }) },
  { weight: 3, arbitrary: fc.constant<ReleaseEvent>({ type: 'LABELS_BAKED' }) },
  {
    weight: 2,
    arbitrary: fc
      .constantFrom('OPERATOR', 'KILL', 'SHADOW_REVIEW', 'SHADOW_INCONCLUSIVE')
      .map((reason): ReleaseEvent => ({ type: 'PAUSE', reason })),
  },
  { weight: 2, arbitrary: fc.constant<ReleaseEvent>({ type: 'RESUME' }) },
  { weight: 2, arbitrary: fc.constant<ReleaseEvent>({ type: 'PROCEED' }) },
  {
    weight: 1,
    arbitrary: fc.constantFrom(...causes).map((cause): ReleaseEvent => ({ type: 'REVERT', cause })),
  },
  { weight: 3, arbitrary: fc.constant<ReleaseEvent>({ type: 'REVERTED' }) },
);
const planArbitrary = fc.constantFrom(
  planWith(),
  planWith({ shadow: {} }),
  planWith({ primaryMetric: { name: 'accuracy', labelWindowMs: 1 } }),
  planWith({ strategy: 'rollback' }),
);
const commandArbitrary = fc.oneof(
  { weight: 1, arbitrary: fc.tuple(fc.integer({ min: 1, max: 4 }), planArbitrary) },
  { weight: 6, arbitrary: eventArbitrary },
);

describe('the release machine, driven by 10,000 sequences of commands', () => {
  const reached = new Set<string>();

  it('takes legal moves only, keeps one ACTIVE, and activates only what was approved or active before', () => {
    fc.assert(
      fc.property(fc.array(commandArbitrary, { maxLength: 60 }), (commands) => {
        const world = new World();
        for (const command of commands) {
          const { epoch, live } = world;
          if (Array.isArray(command)) world.start(...command);
          else world.happen(command);
          const { active, previous, arms } = world.live;
          // A pointer without a new epoch has not moved; a new epoch is one more.
          if (world.live !== live) expect(world.epoch).toBe(epoch + 1);
          else expect(world.epoch).toBe(epoch);
          if (active !== null) {
            expect(world.approved.has(active) || world.wasActive.has(active)).toBe(true);
            expect(previous).not.toBe(active);
          }
          expect(arms).toEqual([]);
          // Nothing is captured for a version that no release is looking at.
          if (world.release === undefined) expect(world.live.shadow).toEqual([]);
        }
        for (const state of world.visited) reached.add(state);
      }),
      { numRuns: 10_000, seed: 20_261_121 },
    );
  });

  it('was not vacuous: every state of a plan without weight steps was reached', () => {
    const steps = new Set(['PREFLIGHT', 'SHIFTING', 'BAKING', 'ANALYSING']);
    const expected = Object.keys(legalMoves).filter((state) => !steps.has(state));
    expect([...reached].sort()).toEqual(expected.sort());
  });
});
