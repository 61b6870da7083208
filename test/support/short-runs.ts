import { CancelledFailure, sleep } from '@temporalio/activity';
import { ApplicationFailure } from '@temporalio/common';
import type { Workflow } from '@temporalio/client';
import { newId } from '../../src/adapters/postgres/new-id.js';
import { workflowBench } from './workflow-bench.js';

/** What one activity does, try by try; the last goes on for every further try. */
export type Tries = readonly ((input: object) => Promise<unknown>)[];
type Steps = Record<string, Tries>;

/** Answers what it is given. */
export const answers = (value: unknown) => () => Promise.resolve(value);
/** Fails, so that it is tried again. */
export const fails = () => Promise.reject(ApplicationFailure.retryable('not now', 'NOT_NOW'));
/** Says nothing more until somebody ends it. */
export const goesSilent = async (): Promise<never> => {
  await sleep('1h');
  throw new Error('nobody ended it');
};

/**
 * Runs of workflows of a few steps, with activities that a test says try by try. `calls` holds what each was given.
 * @param names of all activities that these workflows have, `authoriseStart` left out
 */
export function shortRuns(names: readonly string[]) {
  const calls: { name: string; input: object }[] = [];
  const counts = new Map<string, number>();
  const play = (steps: Steps) => (name: string) => (input: object) => {
    const at = counts.get(name) ?? 0;
    counts.set(name, at + 1);
    calls.push({ name, input });
    const tries = steps[name] ?? [answers(undefined)];
    return (tries[at] ?? tries.at(-1) ?? answers(undefined))(input);
  };
  const bench = workflowBench<Steps>({}, (steps) =>
    Object.fromEntries([...names, 'authoriseStart'].map((name) => [name, play(steps)(name)])),
  );
  return {
    calls,
    /** Starts a run on the queue of its own. */
    start: async <F extends Workflow>(
      workflow: string,
      input: Parameters<F>[0] & { tenant: string },
      steps: Steps,
    ) => {
      calls.length = 0;
      counts.clear();
      bench.use(steps);
      return bench.temporal().client.workflow.start<F>(workflow, {
        taskQueue: 'orchestration',
        workflowId: `${workflow}/${input.tenant}/${newId('request')}`,
        args: [input] as never,
      });
    },
    called: (name: string) => calls.some((call) => call.name === name),
  };
}

/** Matches the failure of a run that was cancelled. */
export const cancelled = { cause: expect.any(CancelledFailure) as unknown };
