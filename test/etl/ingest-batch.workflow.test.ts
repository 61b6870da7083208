import { PlatformError } from '../../src/domain/errors.js';
import {
  defaultBatchLimits,
  etlWorkflowId,
  type IngestBatchInput,
  type IngestBatchResult,
} from '../../src/domain/etl/contract.js';
import { workflowBench } from '../support/workflow-bench.js';
import { BatchWorld, textOf } from './batch-world.js';

const bench = workflowBench(new BatchWorld(), (one) => one.activities());
let world: BatchWorld;
let batches = 0;
beforeEach(() => {
  world = bench.use(new BatchWorld());
});

async function run(batchId = `bat_${(batches += 1)}`) {
  const input: IngestBatchInput = {
    ...{ tenant: world.tenant, sourceId: 'src_1', batchId },
    limits: { ...defaultBatchLimits, retryIntervalMs: 50, maxAttempts: 3 },
  };
  const handle = await bench.temporal().client.workflow.start('ingestBatch', {
    taskQueue: 'orchestration',
    workflowId: etlWorkflowId(world.tenant, batchId),
    workflowIdReusePolicy: 'ALLOW_DUPLICATE',
    args: [input],
  });
  const result = (await handle.result()) as IngestBatchResult;
  const { events } = await handle.fetchHistory();
  return { result, events: events?.length, handle };
}

describe('ingestBatch', () => {
  it('is 17 events for one document and for 300, and for none', async () => {
    expect((await run()).events).toBe(17);
    world.put('one.md', textOf('one'));
    expect((await run()).events).toBe(17);
    for (let at = 0; at < 300; at++) world.put(`${at}.md`, textOf(`topic ${at}`));
    const { result, events } = await run();
    expect(events).toBe(17);
    expect(result).toMatchObject({ state: 'DONE', waiting: 0 });
    expect(result.counts).toMatchObject({ claimed: 300, indexed: 300, quarantined: 0 });
    expect(world.sink.rows.size).toBe(301);
  }, 60_000);

  it('is 17 events with retries: a store that comes back is written in the same step', async () => {
    world.put('a.md', textOf('a'));
    world.embedFails = new PlatformError('EMBEDDER_RATE_LIMITED', 'slow down');
    const running = run();
    const fail = world.embedFails;
    setTimeout(() => {
      if (world.embedFails === fail) world.embedFails = undefined;
    }, 60);
    const { result, events } = await running;
    expect(events).toBe(17);
    expect(result.counts.indexed).toBe(1);
  }, 60_000);

  it('one bad document, at the parser, at a gate or at its vector, never stops the others', async () => {
    for (let at = 0; at < 20; at++) world.put(`${at}.md`, textOf(`topic ${at}`));
    world.put('poison.md', 'POISON');
    world.put('empty.md', 'short');
    world.put('nan.md', textOf('unembeddable'));
    world.badText = 'unembeddable';
    const { result } = await run();
    expect(result.state).toBe('DONE');
    expect(result.counts).toMatchObject({ claimed: 23, indexed: 20, quarantined: 3 });
    const reasons = [...world.documents.values()].flatMap(({ reason }) => reason ?? []);
    expect(reasons.sort()).toEqual(['bad_vector', 'empty_text', 'parse_failed']);
  }, 60_000);

  it('embeds and writes nothing for what did not change, one chunk for what did, and removes what went', async () => {
    for (const key of ['a.md', 'b.md', 'c.md']) world.put(key, textOf(key));
    await run();
    const { embeds } = world;
    world.put('a.md', textOf('a.md'));
    world.put('b.md', textOf('something else'));
    world.remove('c.md');
    const { result } = await run();
    expect(result.counts).toMatchObject({ claimed: 3, unchanged: 1, indexed: 1, deleted: 1 });
    expect(world.embeds - embeds).toBe(1);
    expect(world.sink.rows.size).toBe(2);
  }, 60_000);

  it('ends in TROUBLE with its claims where the store stays away, and the same batch finishes later', async () => {
    world.put('a.md', textOf('a'));
    world.sink.down = true;
    const first = await run('bat_again');
    expect(first.result).toMatchObject({ state: 'TROUBLE', code: 'SINK_UNAVAILABLE' });
    expect(first.events).toBe(17);
    world.sink.down = false;
    const second = await run('bat_again');
    expect(second.result).toMatchObject({ state: 'DONE' });
    expect(second.result.counts).toMatchObject({ claimed: 1, indexed: 1 });
    expect(world.states()).toEqual({ LIVE: 1 });
  }, 60_000);

  it('claims nothing of a source that is paused', async () => {
    world.put('a.md', textOf('a'));
    world.sourceState = 'PAUSED';
    const { result } = await run();
    expect(result.counts.claimed).toBe(0);
    expect(world.due()).toHaveLength(1);
  }, 60_000);
});
