import { fileURLToPath } from 'node:url';
import { bundleWorkflowCode, type WorkflowBundle } from '@temporalio/worker';
import { createTelemetryPlugin } from './telemetry.js';

const workflowsPath = fileURLToPath(
  new URL(
    import.meta.url.endsWith('.ts') ? '../workflows/index.ts' : '../workflows/index.js',
    import.meta.url,
  ),
);

/**
 * Bundles the workflows. A Node built-in in workflow code is reported as one sentence with the import that brings it.
 */
export async function buildWorkflowBundle(): Promise<{ code: string }> {
  const problems: string[] = [];
  const note = (_level: string, message: string) => problems.push(message);
  try {
    const bundle: WorkflowBundle = await bundleWorkflowCode({
      workflowsPath,
      plugins: [createTelemetryPlugin({ telemetry: false }, 'bundle')],
      logger: {
        log: note,
        trace: () => {},
        debug: () => {},
        info: () => {},
        warn: (m) => note('warn', m),
        error: (m) => note('error', m),
      },
    });
    return { code: bundle.code };
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
