import { createBatcher } from '../../src/adapters/postgres/inference-batcher.js';
import { PlatformError } from '../../src/domain/errors.js';

interface Call {
  tenant: string;
  items: number[];
  finish: (results?: number[]) => void;
  fail: (error: Error) => void;
}

/** A batcher over calls that the test ends by hand. */
function harness(options: { maxItems?: number; windowMs?: number } = {}) {
  const calls: Call[] = [];
  const batch = createBatcher<number, number>({
    maxItems: options.maxItems ?? 64,
    windowMs: options.windowMs ?? 300,
    isOutage: (error) => error instanceof PlatformError && error.code === 'STORE_UNAVAILABLE',
    call: (tenant, items) =>
      new Promise((resolve, reject) => {
        const finish = (results = items.map((item) => item * 10)) => resolve(results);
        calls.push({ tenant, items, finish, fail: reject });
      }),
  });
  const call = (at: number): Call => {
    const found = calls[at];
    if (found === undefined) throw new Error(`call ${at} was not made`);
    return found;
  };
  return { batch, calls, call };
}

const settled = async () => {
  for (let turns = 0; turns < 20; turns++) await Promise.resolve();
};

describe('batcher', () => {
  it('sends an item at once where nothing is under way', () => {
    const { batch, calls } = harness();
    void batch('a', 1);
    expect(calls).toHaveLength(1);
  });

  it('gathers what comes during a call, answers each with its own result', async () => {
    const { batch, calls, call } = harness();
    const first = batch('a', 1);
    const others = [batch('a', 2), batch('a', 3)];
    expect(calls).toHaveLength(1);
    call(0).finish();
    await expect(first).resolves.toBe(10);
    await settled();
    expect(call(1).items).toEqual([2, 3]);
    call(1).finish();
    await expect(Promise.all(others)).resolves.toEqual([20, 30]);
  });

  it('never puts two tenants into one call', () => {
    const { batch, calls } = harness();
    void batch('a', 1);
    void batch('b', 2);
    void batch('a', 3);
    expect(calls.map(({ tenant, items }) => ({ tenant, items }))).toEqual([
      { tenant: 'a', items: [1] },
      { tenant: 'b', items: [2] },
    ]);
  });

  it('sends a full batch without waiting for the call under way', () => {
    const { batch, calls } = harness({ maxItems: 2 });
    for (const item of [1, 2, 3]) void batch('a', item);
    expect(calls.map(({ items }) => items)).toEqual([[1], [2, 3]]);
  });

  it('sends what has gathered when its window ends', async () => {
    const { batch, call } = harness({ windowMs: 1 });
    void batch('a', 1);
    void batch('a', 2);
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(call(1).items).toEqual([2]);
  });

  it('asks one by one where a batch fails, so that only the culprit does', async () => {
    const { batch, calls, call } = harness();
    void batch('a', 1);
    const good = batch('a', 2);
    const bad = batch('a', 3);
    call(0).finish();
    await settled();
    call(1).fail(new Error('22P02'));
    await settled();
    expect(calls.slice(2).map(({ items }) => items)).toEqual([[2], [3]]);
    call(2).finish();
    call(3).fail(new Error('22P02'));
    await expect(good).resolves.toBe(20);
    await expect(bad).rejects.toThrow('22P02');
  });

  it('does not repeat a batch while the store is away', async () => {
    const { batch, calls, call } = harness();
    void batch('a', 1);
    const waiting = [batch('a', 2), batch('a', 3)];
    call(0).finish();
    await settled();
    call(1).fail(new PlatformError('STORE_UNAVAILABLE', 'away'));
    await expect(Promise.allSettled(waiting)).resolves.toMatchObject([
      { status: 'rejected' },
      { status: 'rejected' },
    ]);
    expect(calls).toHaveLength(2);
  });
});
