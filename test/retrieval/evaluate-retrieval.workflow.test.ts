import type { evaluateRetrieval } from '../../src/workflows/retrieval/index.js';
import { eventually } from '../support/eventually.js';
import { answers, cancelled, fails, goesSilent, shortRuns } from '../support/short-runs.js';

const runs = shortRuns(['measureRetrieval', 'failRetrieval']);
const input = { tenant: 'default', evaluationId: 'rev_1', timeoutMs: 60_000, heartbeatMs: 1_000 };
const start = (...measureRetrieval: Parameters<typeof runs.start>[2][string]) =>
  runs.start<typeof evaluateRetrieval>('evaluateRetrieval', input, { measureRetrieval });

describe('evaluateRetrieval', () => {
  it('measures again what could not be measured at once', async () => {
    const run = await start(fails, answers({ verdict: 'PASS' }));
    expect(await run.result()).toEqual({ state: 'DONE', verdict: 'PASS' });
    expect(runs.called('failRetrieval')).toBe(false);
  }, 30_000);

  it('measures again where a measurement has gone silent', async () => {
    const run = await start(goesSilent, answers({ verdict: 'FAIL' }));
    expect(await run.result()).toEqual({ state: 'DONE', verdict: 'FAIL' });
  }, 30_000);

  it('is settled where it is cancelled while it measures', async () => {
    const run = await start(goesSilent);
    await eventually(() => expect(runs.called('measureRetrieval')).toBe(true));
    await run.cancel();
    await expect(run.result()).rejects.toMatchObject(cancelled);
    expect(runs.calls.at(-1)).toMatchObject({
      name: 'failRetrieval',
      input: { evaluationId: 'rev_1', failure: { code: 'CANCELLED' } },
    });
  }, 30_000);
});
