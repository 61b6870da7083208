import { fileURLToPath } from 'node:url';
import { bundleWorkflowCode } from '@temporalio/worker';
import { createSilentPlugin } from '../../src/main/telemetry.js';

const pathOf = (path: string) => fileURLToPath(new URL(path, import.meta.url));

/** The bundle of `test/deploy/next-build`: histories of today's build do not replay in it. */
export const bundleNextBuild = (): Promise<{ code: string }> =>
  bundleWorkflowCode({
    workflowsPath: pathOf('../deploy/next-build/index.ts'),
    workflowInterceptorModules: [pathOf('../../src/workflows/interceptors.ts')],
    plugins: [createSilentPlugin()],
  });
