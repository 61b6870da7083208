import type { evaluateVersion } from '../../src/workflows/evaluation/index.js';
import { eventually } from '../support/eventually.js';
import { answers, cancelled, fails, goesSilent, shortRuns } from '../support/short-runs.js';

const runs = shortRuns(['measureVersion', 'settleEvaluation']);
const input = {
  ...{ tenant: 'default', evaluationId: 'evl_1', model: 'credit', version: 2 },
  ...{ timeoutMs: 60_000, heartbeatMs: 1_000 },
};
const start = (...measureVersion: Parameters<typeof runs.start>[2][string]) =>
  runs.start<typeof evaluateVersion>('evaluateVersion', input, { measureVersion });
const report = { verdict: 'PASS', reportDigest: 'sha256:1' };

describe('evaluateVersion', () => {
  it('measures again what could not be measured at once', async () => {
    const run = await start(fails, answers(report));
    expect(await run.result()).toEqual({ state: 'COMPLETED', ...report });
    expect(runs.called('settleEvaluation')).toBe(false);
  }, 30_000);

  it('measures again where a measurement has gone silent', async () => {
    const run = await start(goesSilent, answers(report));
    expect(await run.result()).toEqual({ state: 'COMPLETED', ...report });
  }, 30_000);

  it('is settled as cancelled where it is cancelled while it measures', async () => {
    const run = await start(goesSilent);
    await eventually(() => expect(runs.called('measureVersion')).toBe(true));
    await run.cancel();
    await expect(run.result()).rejects.toMatchObject(cancelled);
    expect(runs.calls.at(-1)).toMatchObject({
      name: 'settleEvaluation',
      input: { evaluationId: 'evl_1', end: { state: 'CANCELLED', code: 'CANCELLED' } },
    });
  }, 30_000);
});
