import { createSettlementLoop } from '../../src/activities/inference/index.js';
import type { StoredInference } from '../../src/domain/inference/run.js';

const stored = (inferenceId: string): StoredInference => ({
  inferenceId,
  principalId: 'prn',
  env: 'dev',
  workflowId: `infer/a/${inferenceId}`,
  state: 'SUCCEEDED',
  code: null,
  model: 'm',
  version: 1,
  answeredBy: 1,
  digest: null,
  arm: 'active',
  outputs: null,
  warnings: [],
  createdMs: 0,
  settledMs: 1,
  contractVersion: null,
  confidence: null,
  attempts: [],
  fallback: null,
  latencyMs: 1,
});

function harness(sweepMs = 60_000) {
  const settledIds = new Set<string>();
  const reads: { tenant: string; ids: string[] }[] = [];
  let onNotice: (payload: string) => void = () => undefined;
  const loop = createSettlementLoop({
    sweepMs,
    listen: (_channel, handlers, signal) => {
      onNotice = handlers.onNotice;
      return new Promise((resolve) => signal.addEventListener('abort', () => resolve()));
    },
    read: async (tenant, ids) => {
      reads.push({ tenant, ids });
      return ids.filter((id) => tenant === 'a' && settledIds.has(id)).map(stored);
    },
  });
  const stopping = new AbortController();
  const running = loop.run(stopping.signal);
  return {
    reads,
    settle: (...ids: string[]) => ids.forEach((id) => settledIds.add(id)),
    notice: (tenant: string, ids: string[]) => onNotice(JSON.stringify({ tenant, ids })),
    wait: (inferenceId: string, more: { tenant?: string; known?: boolean; waitMs?: number } = {}) =>
      loop.waitFor(
        { tenant: more.tenant ?? 'a', inferenceId, known: more.known ?? false },
        { waitMs: more.waitMs ?? 5_000, signal: stopping.signal },
      ),
    stop: async () => {
      stopping.abort();
      await running;
    },
  };
}

describe('settlement loop', () => {
  it('answers all waiters that a notice names with one read', async () => {
    const { wait, settle, notice, reads, stop } = harness();
    const waiting = [wait('x'), wait('y'), wait('y')];
    settle('x', 'y', 'z');
    notice('a', ['x', 'y', 'z']);
    const found = await Promise.all(waiting);
    expect(found.map((one) => one?.inferenceId)).toEqual(['x', 'y', 'y']);
    expect(reads).toEqual([{ tenant: 'a', ids: ['x', 'y'] }]);
    await stop();
  });

  it('answers a waiter that comes after its notice', async () => {
    const { wait, settle, notice, reads, stop } = harness();
    settle('x');
    notice('a', ['x']);
    expect(reads).toHaveLength(0);
    await expect(wait('x')).resolves.toMatchObject({ inferenceId: 'x' });
    await stop();
  });

  it('finds what a lost notice did not say at the next sweep', async () => {
    const { wait, settle, stop } = harness(10);
    const waiting = wait('x');
    settle('x');
    await expect(waiting).resolves.toMatchObject({ inferenceId: 'x' });
    await stop();
  });

  it('answers nothing when the wait is over, and nothing of another tenant', async () => {
    const { wait, settle, notice, stop } = harness();
    settle('x');
    const foreign = wait('x', { tenant: 'b', waitMs: 30 });
    notice('a', ['x']);
    await expect(foreign).resolves.toBeUndefined();
    await expect(wait('never', { waitMs: 5 })).resolves.toBeUndefined();
    await stop();
  });
});
