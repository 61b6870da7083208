import type { compactGeneration, fitEmbedder } from '../../src/workflows/etl/index.js';
import { eventually } from '../support/eventually.js';
import { answers, cancelled, fails, goesSilent, shortRuns } from '../support/short-runs.js';

const runs = shortRuns(['compactSink', 'fitTexts', 'failFit']);
const limits = {
  stepTimeoutMs: 60_000,
  workTimeoutMs: 600_000,
  heartbeatTimeoutMs: 1_000,
  retryIntervalMs: 50,
  maxAttempts: 3,
};
const tenant = 'default';
type Tries = Parameters<typeof runs.start>[2][string];

describe('compactGeneration', () => {
  const start = (...compactSink: Tries) =>
    runs.start<typeof compactGeneration>(
      'compactGeneration',
      { tenant, compactionId: 'cmp_1', generationId: 'gen_1', limits },
      { compactSink },
    );
  const done = { compactionId: 'cmp_1', state: 'COMPACTED', rows: 7 };

  it.each([
    ['failed', fails],
    ['has gone silent', goesSilent],
  ])(
    'compacts at the next try where one %s',
    async (_, first) => {
      const run = await start(first, answers({ compacted: true, rows: 7 }));
      expect(await run.result()).toEqual(done);
    },
    30_000,
  );

  it('ends as cancelled where it is cancelled', async () => {
    const run = await start(goesSilent);
    await eventually(() => expect(runs.called('compactSink')).toBe(true));
    await run.cancel();
    await expect(run.result()).rejects.toMatchObject(cancelled);
  }, 30_000);
});

describe('fitEmbedder', () => {
  const start = (...fitTexts: Tries) =>
    runs.start<typeof fitEmbedder>(
      'fitEmbedder',
      { tenant, fitId: 'fit_1', maxTexts: 100, limits },
      { fitTexts },
    );

  it.each([
    ['failed', fails],
    ['has gone silent', goesSilent],
  ])(
    'fits at the next try where one %s',
    async (_, first) => {
      const run = await start(first, answers({ texts: 9, terms: 8, bytes: 7 }));
      expect(await run.result()).toEqual({ fitId: 'fit_1', state: 'DONE' });
      expect(runs.called('failFit')).toBe(false);
    },
    30_000,
  );

  it('is settled where it is cancelled, so that it does not stand as running for ever', async () => {
    const run = await start(goesSilent);
    await eventually(() => expect(runs.called('fitTexts')).toBe(true));
    await run.cancel();
    await expect(run.result()).rejects.toMatchObject(cancelled);
    expect(runs.calls.at(-1)).toEqual({
      name: 'failFit',
      input: { tenant, fitId: 'fit_1', code: 'CANCELLED' },
    });
  }, 30_000);
});
