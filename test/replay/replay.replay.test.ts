import { readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { DefaultLogger, Runtime, Worker, type ReplayWorkerOptions } from '@temporalio/worker';
import { DeterminismViolationError } from '@temporalio/workflow';
import { testEnvironment } from '../support/model-runtime.js';
import {
  exportsOf,
  kebab,
  listFiles,
  parseSource,
  projectRoot,
  readText,
} from '../support/source-tree.js';
import { payloadTexts, refusalOf } from '../support/write-history.js';
import { buildWorkflowBundle } from '../../src/main/workflow-bundle.js';

// The workflows of today replay every run that was recorded: one that another version of the code began must go on.

interface Recorded {
  path: string;
  workflowId: string;
  runId: string;
  history: unknown;
}

interface Started {
  workflowExecutionStartedEventAttributes?: {
    workflowId?: string;
    originalExecutionRunId?: string;
  };
}

function readRecorded(path: string): Recorded {
  const history: unknown = JSON.parse(readFileSync(join(projectRoot, path), 'utf8'));
  const { events } = history as { events: Started[] };
  const { workflowId, originalExecutionRunId } =
    events[0]?.workflowExecutionStartedEventAttributes ?? {};
  return {
    ...{ path, history },
    workflowId: workflowId ?? basename(path),
    runId: originalExecutionRunId ?? path,
  };
}

const paths = listFiles('test/replay', /\.json$/);
const isBad = (path: string): boolean => path.startsWith('test/replay/bad/');
const good = paths.filter((path) => !isBad(path)).map(readRecorded);
const bad = paths.filter(isBad).map(readRecorded);

const outcomes = new Map<string, Error | undefined>();

beforeAll(async () => {
  // The bad history makes the core complain, as it should; the test says so itself.
  Runtime.install({
    logger: new DefaultLogger('ERROR', () => undefined),
    telemetryOptions: { logging: { forward: {}, filter: { core: 'ERROR', other: 'ERROR' } } },
  });
  const codePath = testEnvironment['ANNEAL_WORKFLOW_BUNDLE'];
  const options: ReplayWorkerOptions = {
    workflowBundle: codePath === undefined ? await buildWorkflowBundle() : { codePath },
  };
  const all = [...good, ...bad];
  const pathOf = new Map(all.map(({ runId, path }) => [runId, path]));
  const results = Worker.runReplayHistories(
    options,
    all.map(({ workflowId, history }) => ({ workflowId, history })),
  );
  for await (const { runId, error } of results) outcomes.set(pathOf.get(runId) ?? runId, error);
}, 120_000);

const exported = exportsOf(parseSource('index.ts', readText('src/workflows/index.ts'))).values;

it('every history is of an exported workflow', () => {
  const recorded = good.map(({ path }) => basename(path).split('.')[0]);
  expect([...new Set(recorded)].sort()).toEqual(exported.map(kebab).sort());
});

/** Workflows that go on as a new run, by their own call. */
const continuing = new Set(
  listFiles('src/workflows', /\.ts$/).flatMap((path) =>
    [...readText(path).matchAll(/\bcontinueAsNew<typeof (\w+)>/g)].map(([, name]) => name),
  ),
);

/** A failed try that a local activity makes good leaves the same marker as one that went well. */
const onLocalActivities = ['infer', 'inferShadow'];

it.each(exported)(
  '%s has been recorded as it went well, with a failed try, cancelled, timed out, and continued where it continues',
  (name) => {
    const situations = good
      .map(({ path }) => basename(path, '.json').split('.'))
      .filter(([workflow]) => workflow === kebab(name))
      .map(([, situation]) => situation);
    const wanted = ['happy', 'retry', 'cancelled', 'timed-out'];
    if (continuing.has(name)) wanted.push('continued');
    const leaveNoTrace = onLocalActivities.includes(name) ? ['retry'] : [];
    expect(situations).toEqual(
      expect.arrayContaining(wanted.filter((one) => !leaveNoTrace.includes(one))),
    );
  },
);

it.each(good)('the workflows of today replay $path', ({ path }) => {
  expect(outcomes.get(path)).toBeUndefined();
  expect(outcomes.has(path)).toBe(true);
});

it.each(good)('$path holds synthetic data only', ({ history }) => {
  expect(refusalOf(history)).toBeUndefined();
});

it('a history that no current workflow produced fails as a violation of determinism', () => {
  expect(bad).toHaveLength(1);
  for (const { path } of bad) {
    const error = outcomes.get(path);
    expect(error).toBeInstanceOf(DeterminismViolationError);
    expect(error?.message).toContain('TMPRL1100');
  }
});

it('a history of another tenant or with personal data is refused', () => {
  const payload = (value: unknown) => ({
    metadata: { encoding: 'anNvbi9wbGFpbg==' },
    data: Buffer.from(JSON.stringify(value)).toString('base64'),
  });
  const own = { tenant: 'default', runId: 'run_1' };
  expect(payloadTexts([{ input: { payloads: [payload(own)] } }])).toEqual([JSON.stringify(own)]);
  expect(refusalOf([payload(own)])).toBeUndefined();
  expect(refusalOf([payload({ tenant: 'acme' })])).toContain('acme');
  expect(refusalOf([payload({ runId: 'run_1' })])).toContain('tenant');
  expect(refusalOf([payload({ ...own, by: 'ada@example.com' })])).toContain('personal');
  expect(refusalOf([payload({ ...own, inputs: { age: 31 } })])).toContain('personal');
});
