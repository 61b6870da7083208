import { defaultPayloadConverter, type Headers } from '@temporalio/common';
import { REQUEST_ID_HEADER, requestIdHeaders, requestIdOf } from '../../src/domain/request-id.js';
import { TRACE_ID_HEADER, traceIdOf } from '../../src/domain/trace-id.js';
import { interceptors } from '../../src/workflows/interceptors.js';

const trace = (id: string): Headers => ({
  [TRACE_ID_HEADER]: defaultPayloadConverter.toPayload({
    traceparent: `00-${id}-${'b'.repeat(16)}-01`,
  }),
});

/** A run whose workflow was started with these headers: what its calls carry. */
async function begin(headers: Headers) {
  const { inbound = [], outbound = [] } = interceptors();
  const [first] = inbound;
  const [out] = outbound;
  await first?.execute?.({ args: [], headers }, async () => undefined);
  return {
    signal: (told: Headers) =>
      first?.handleSignal?.({ args: [], headers: told, signalName: 's' }, async () => undefined),
    wake: (told: Headers) =>
      first?.handleUpdate?.(
        { args: [], headers: told, name: 'wake', updateId: 'u' },
        async () => undefined,
      ),
    activity: async (own: Headers = {}): Promise<Headers> => {
      let seen: Headers = {};
      await out?.scheduleActivity?.({ headers: own } as never, async (input) => {
        seen = input.headers;
      });
      return seen;
    },
    child: async (): Promise<{ headers: Headers; options: { memo?: unknown } }> => {
      let seen: unknown;
      const next = async (given: unknown): Promise<[Promise<string>, Promise<unknown>]> => {
        seen = given;
        return [Promise.resolve('run'), Promise.resolve(undefined)];
      };
      const input = { headers: {}, options: { memo: { kept: 1 } } };
      const started = await out?.startChildWorkflowExecution?.(input as never, next);
      await Promise.all(started ?? []);
      return seen as { headers: Headers; options: { memo?: unknown } };
    },
  };
}

describe('the id of a request inside a run', () => {
  it('goes from the start to every activity, and with a memo to every child', async () => {
    const run = await begin(requestIdHeaders('req_1'));
    expect(requestIdOf(await run.activity())).toBe('req_1');
    const { headers, options } = await run.child();
    expect(requestIdOf(headers)).toBe('req_1');
    expect(options.memo).toEqual({ kept: 1, requestId: 'req_1' });
  });

  it('of an entity is that of the newest request that it was told of', async () => {
    const run = await begin(requestIdHeaders('req_1'));
    await run.signal(requestIdHeaders('req_2'));
    expect(requestIdOf(await run.activity())).toBe('req_2');
    await run.signal({});
    expect(requestIdOf(await run.activity())).toBe('req_2');
  });

  it('is that of the wake once the run is woken, and stays where a wake names none', async () => {
    const run = await begin(requestIdHeaders('req_1'));
    await run.wake({});
    expect(requestIdOf(await run.activity())).toBe('req_1');
    await run.wake(requestIdHeaders('req_2'));
    expect(requestIdOf(await run.activity())).toBe('req_2');
    expect((await run.child()).options.memo).toEqual({ kept: 1, requestId: 'req_2' });
  });

  it('is absent where no request began the run: nothing is added then', async () => {
    const run = await begin({});
    expect(await run.activity()).toEqual({});
    expect((await run.child()).options).toEqual({ memo: { kept: 1 } });
  });

  it('travels with the trace where no tracing interceptor stands between, and leaves a nearer span alone', async () => {
    const run = await begin({ ...requestIdHeaders('req_1'), ...trace('a'.repeat(32)) });
    expect(traceIdOf(await run.activity())).toBe('a'.repeat(32));
    expect(traceIdOf(await run.activity(trace('c'.repeat(32))))).toBe('c'.repeat(32));
    expect(Object.keys(await run.activity()).sort()).toEqual([TRACE_ID_HEADER, REQUEST_ID_HEADER]);
  });
});
