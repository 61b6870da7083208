import { connectTestTemporal, type TestTemporal } from './temporal.js';

/** A Temporal of a test file, and workers whose activities are those of the world that the test at hand has. */
export interface WorkflowBench<World> {
  temporal: () => TestTemporal;
  world: () => World;
  use: (world: World) => World;
}

type Activities = Record<string, ((input: never) => Promise<unknown>) | undefined>;

/** Starts workers before the first test of the file and stops them after the last. @param first names the activities */
export function workflowBench<World>(
  first: World,
  activitiesOf: (world: World) => object,
): WorkflowBench<World> {
  let temporal: TestTemporal | undefined;
  let stop: (() => Promise<void>) | undefined;
  let current = first;
  const call = (name: string) => (input: never) =>
    (activitiesOf(current) as Activities)[name]?.(input);
  beforeAll(async () => {
    temporal = await connectTestTemporal();
    const names = Object.keys(activitiesOf(first));
    const workers = await temporal.startWorkers(
      Object.fromEntries(names.map((name) => [name, call(name)])),
    );
    stop = workers.stop;
  }, 90_000);
  afterAll(async () => {
    await stop?.();
    await temporal?.stop();
  });
  return {
    temporal: () => {
      if (temporal === undefined) throw new Error('Temporal is there once the tests run');
      return temporal;
    },
    world: () => current,
    use: (world) => (current = world),
  };
}
