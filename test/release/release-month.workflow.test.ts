import { createReleaseActivities, type ReleaseDeps } from '../../src/activities/release/index.js';
import type { RollOutReleaseInput } from '../../src/domain/release/contract.js';
import { DAY_MS, HOUR_MS, MINUTE_MS } from '../../src/domain/units.js';
import {
  describeSkippingTime,
  startSkippingServer,
  type SkippingServer,
} from '../support/time-skipping.js';
import { planWith } from './plans.js';
import { ReleaseMemory } from './release-memory.js';

const STORY_MS = 120_000;
let server: SkippingServer;
let memory: ReleaseMemory;

/** The deps of whichever release is in memory. */
const current = new Proxy({} as ReleaseDeps, {
  get: (_target, name) => memory.deps()[name as keyof ReleaseDeps],
});

// The same stories with short durations, on Postgres and the real server, are in roll-out-release.workflow.test.ts.
describeSkippingTime('a release over weeks, with its true durations', () => {
  let stories = 0;

  beforeAll(async () => {
    server = await startSkippingServer({
      ...createReleaseActivities(current),
      authoriseStart: () => Promise.resolve(),
    });
  }, STORY_MS);
  afterAll(() => server.stop(), STORY_MS);

  /** Runs a release to its end; answers how it ended and how long each state lasted until the next, in ms. */
  async function run(fields: Record<string, unknown>, prepare: (m: ReleaseMemory) => void) {
    const plan = planWith(fields);
    memory = new ReleaseMemory(plan, server.nowMs);
    prepare(memory);
    const input: RollOutReleaseInput = {
      tenant: 't',
      releaseId: 'rel',
      env: 'prod',
      kind: 'model',
      name: 'credit',
      version: 2,
      riskClass: 'low',
      plan,
      maxHistoryEvents: 1_500,
    };
    const handle = await server.env.client.workflow.start('rollOutRelease', {
      taskQueue: 'orchestration',
      workflowId: `release/t/story-${(stories += 1)}`,
      args: [input],
    });
    const { state } = (await handle.result()) as { state: string };
    const runs = (await handle.describe()).runId !== handle.firstExecutionRunId;
    const lasted = new Map<string, number>();
    for (const [index, { state: name, atMs }] of memory.states.entries()) {
      lasted.set(name, (memory.states[index + 1]?.atMs ?? atMs) - atMs);
    }
    return { state, lasted, continued: runs };
  }

  it(
    'a shadow without traffic is INCONCLUSIVE after 7 days, rests 24 hours, and goes back',
    async () => {
      const { state, lasted, continued } = await run(
        { shadow: { tickMs: HOUR_MS } },
        () => undefined,
      );
      expect(state).toBe('ROLLED_BACK');
      const shadowing = lasted.get('SHADOWING') ?? 0;
      expect(shadowing).toBeGreaterThanOrEqual(7 * DAY_MS);
      expect(shadowing).toBeLessThan(7 * DAY_MS + 2 * HOUR_MS);
      const paused = lasted.get('PAUSED') ?? 0;
      expect(paused).toBeGreaterThanOrEqual(DAY_MS);
      expect(paused).toBeLessThan(DAY_MS + MINUTE_MS);
      expect(memory.live).toMatchObject({ active: 1, shadow: [] });
      expect(memory.ticks).toBeGreaterThanOrEqual(168);
      expect(continued).toBe(true);
    },
    STORY_MS,
  );

  it(
    'bakes labels for three weeks over several runs, and succeeds',
    async () => {
      const primaryMetric = { name: 'accuracy', labelWindowMs: 21 * DAY_MS };
      const { state, lasted, continued } = await run(
        { primaryMetric, labelTickMs: HOUR_MS },
        (m) => {
          m.labels = () => ({ n: 400, correct: 365 });
        },
      );
      expect(state).toBe('SUCCEEDED');
      // verifyMs and bakeMs: one minute and one hour.
      expect(lasted.get('VERIFYING')).toBeGreaterThanOrEqual(HOUR_MS + MINUTE_MS);
      expect(lasted.get('BAKING_LABELS')).toBeGreaterThanOrEqual(21 * DAY_MS);
      expect(lasted.get('BAKING_LABELS')).toBeLessThan(21 * DAY_MS + HOUR_MS);
      expect(memory.live).toMatchObject({ active: 2, previous: 1 });
      expect(continued).toBe(true);
    },
    STORY_MS,
  );

  it(
    'goes back on the day on which the labels turn against it',
    async () => {
      const primaryMetric = { name: 'accuracy', labelWindowMs: 21 * DAY_MS };
      const { state, lasted } = await run({ primaryMetric, labelTickMs: 6 * HOUR_MS }, (m) => {
        let since: number | undefined;
        m.labels = (nowMs) => {
          since ??= nowMs;
          const wrong = nowMs - since > 10 * DAY_MS;
          return { n: 400, correct: wrong ? 300 : 365 };
        };
      });
      expect(state).toBe('ROLLED_BACK');
      expect(lasted.get('BAKING_LABELS')).toBeGreaterThan(10 * DAY_MS);
      expect(lasted.get('BAKING_LABELS')).toBeLessThan(11 * DAY_MS);
      expect(memory.live).toMatchObject({ active: 1 });
    },
    STORY_MS,
  );
});
