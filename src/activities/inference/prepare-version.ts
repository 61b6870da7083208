import { PlatformError } from '../../domain/errors.js';
import { ProviderFailure, type ModelRuntime, type Ready } from '../../domain/inference/runtime.js';
import type { InferencePipelineDeps } from './inference-pipeline-deps.js';

/** What it takes to make a version ready in this process. */
export interface PrepareVersionDeps {
  version: InferencePipelineDeps['version'];
  runtime?: ModelRuntime | undefined;
}

/**
 * Loads a version by its digest and asks its golden probes (10⁻⁵): what a serving process does before it reports the
 * version as ready. Idempotent.
 * @throws MODEL_NOT_FOUND, RUNTIME_UNAVAILABLE, ARTIFACT_CORRUPT, GOLDEN_MISMATCH
 */
export const createPrepareVersion =
  (deps: PrepareVersionDeps) =>
  async (
    of: { tenant: string; model: string; version: number },
    signal: AbortSignal,
  ): Promise<Ready> => {
    const loaded = await deps.version(of.tenant, of.model, of.version);
    if (loaded === undefined) throw new PlatformError('MODEL_NOT_FOUND', 'no such version');
    if (deps.runtime === undefined) {
      throw new PlatformError('RUNTIME_UNAVAILABLE', 'no model runtime in this process');
    }
    try {
      return await deps.runtime.prepare(loaded.runtimeVersion, signal);
    } catch (error) {
      if (!(error instanceof ProviderFailure) || error.code === undefined) throw error;
      throw new PlatformError(error.code, `v${of.version} is not ready`, {
        internal: error.message,
      });
    }
  };
