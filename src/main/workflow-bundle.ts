import { access, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { bundleWorkflowCode, type BundlerPlugin } from '@temporalio/worker';
import { createSilentPlugin } from './telemetry.js';

const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
const pathOf = (entry: string): string =>
  fileURLToPath(new URL(`../workflows/${entry}.${extension}`, import.meta.url));

/** What the workers of a process load: every workflow, and those of the queue `inference` alone. */
export interface WorkflowBundles<B> {
  all: B;
  inference: B;
}

/**
 * Bundles the workflows. Their modules are evaluated once a worker and shared, frozen, by all its runs: evaluating them for each
 * run, as the engine does else, costs it 17 ms and 1.6 MB (docs/benchmarks.md). So no module of `workflows` or `domain` keeps state
 * (eslint.config.js). A Node built-in in workflow code is reported as one sentence with the import that brings it.
 */
async function bundle(
  entry: string,
  plugins: BundlerPlugin[],
  isShared = true,
): Promise<{ code: string }> {
  const problems: string[] = [];
  const note = (_level: string, message: string) => problems.push(message);
  try {
    const { code } = await bundleWorkflowCode({
      workflowsPath: pathOf(entry),
      workflowInterceptorModules: [pathOf('interceptors')],
      preloadModules: isShared ? [pathOf(entry)] : [],
      plugins,
      logger: {
        log: note,
        trace: () => {},
        debug: () => {},
        info: () => {},
        warn: (m) => note('warn', m),
        error: (m) => note('error', m),
      },
    });
    return { code };
  } catch (error) {
    const found = /(?:Can't resolve|disallowed).*?'(node:[a-z/]+|[a-z_/]+)'/.exec(
      `${problems.join('\n')}\n${String(error)}`,
    );
    if (found === null) throw error;
    throw new Error(
      `workflow code reaches the Node built-in ${found[1]}; import chain:\n${problems.join('\n')}`,
      { cause: error },
    );
  }
}

/** The bundle of all workflows, with tracing. @param isShared false: modules are evaluated for each run, to measure what that costs */
export const buildWorkflowBundle = (isShared = true): Promise<{ code: string }> =>
  bundle('index', [createSilentPlugin()], isShared);

// The engine evaluates the modules of interceptors anew for each run. An inference is little work: with the tracing SDK in its
// bundle, that would cost more than the inference.
const buildInferenceBundle = (): Promise<{ code: string }> => bundle('inference/index', []);

const besideOf = (path: string): string => path.replace(/(\.js)?$/, '.inference.js');

/** Writes both bundles: the whole one to `path`, the one of the inference queue beside it. */
export async function writeWorkflowBundles(path: string): Promise<void> {
  const [all, inference] = await Promise.all([buildWorkflowBundle(), buildInferenceBundle()]);
  await writeFile(path, all.code);
  await writeFile(besideOf(path), inference.code);
}

/** The bundles of a worker: from their files where `path` names them, else built. */
export async function loadWorkflowBundles(
  path: string | undefined,
): Promise<WorkflowBundles<{ code: string } | { codePath: string }>> {
  if (path === undefined) {
    const [all, inference] = await Promise.all([buildWorkflowBundle(), buildInferenceBundle()]);
    return { all, inference };
  }
  const beside = besideOf(path);
  const isThere = await access(beside).then(
    () => true,
    () => false,
  );
  const inference = isThere ? { codePath: beside } : await buildInferenceBundle();
  return { all: { codePath: path }, inference };
}
