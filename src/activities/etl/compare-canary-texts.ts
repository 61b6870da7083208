import { canaryTexts, compareCanaries } from '../../domain/etl/canary.js';
import type { Embedder } from '../../domain/etl/embedder.js';
import type { GenerationFacts } from '../../domain/etl/ledger.js';
import { PlatformError } from '../../domain/errors.js';
import type { Caller } from '../../domain/events/change.js';
import { workflowCaller } from '../run-of.js';
import { keepClaims } from './keep-claims.js';

/** What an embedder answered to the canary texts; an undefined entry: it had nothing to embed. */
export type CanaryVectors = readonly (Float32Array | undefined)[];

/** What comparing canary texts asks for. */
export interface CanaryDeps {
  /** @throws NOT_FOUND where it is dropped */
  findGeneration: (tenant: string, generationId: string) => Promise<GenerationFacts>;
  /** @throws EMBEDDER_UNKNOWN, EMBEDDER_MISCONFIGURED */
  embedder: (tenant: string, generation: GenerationFacts) => Promise<Embedder>;
  /** What the embedder answered when it was first asked; undefined: never. */
  findCanaries: (
    tenant: string,
    embedFp: string,
    dims: number,
  ) => Promise<CanaryVectors | undefined>;
  /** Keeps the first answer; a later one never replaces it. */
  saveCanaries: (
    tenant: string,
    embedFp: string,
    canaries: { dims: number; vectors: CanaryVectors },
  ) => Promise<void>;
  /**
   * Marks or clears the drift of all written generations of this embedder, audited where it changes. Idempotent.
   * A drifted generation refuses writes with EMBEDDER_DRIFTED.
   */
  settleCanaries: (
    caller: Caller,
    embedFp: string,
    verdict: { drifted: boolean; lowest: number; positions: number[] },
  ) => Promise<void>;
}

/** Canaries that had no vector then and have none now are alike; all others are compared. */
function verdictOf(stored: CanaryVectors, current: CanaryVectors) {
  const none = new Float32Array(0);
  const asked = canaryTexts.flatMap((_, at) =>
    stored[at] === undefined && current[at] === undefined ? [] : [at],
  );
  const { drifted, lowest, positions } = compareCanaries(
    asked.map((at) => stored[at] ?? none),
    asked.map((at) => current[at]),
  );
  return {
    drifted: drifted && asked.length > 0,
    lowest: asked.length === 0 ? 1 : lowest,
    positions: positions.map((at) => asked[at] ?? at),
  };
}

/**
 * Embeds the canary texts past the memo and compares them with the first answer (etl.md §9): cosine below 0.999 is
 * drift, which pauses writes. The first time, the answer is kept.
 * @throws EMBEDDER_UNAVAILABLE, EMBEDDER_RATE_LIMITED (retryable), EMBEDDER_MISCONFIGURED, NOT_FOUND
 */
export const createCompareCanaryTexts =
  (deps: CanaryDeps) =>
  ({
    tenant,
    generationId,
  }: {
    tenant: string;
    generationId: string;
  }): Promise<{ drifted: boolean; lowest: number }> =>
    keepClaims(
      async () => undefined,
      async ({ signal }) => {
        const generation = await deps.findGeneration(tenant, generationId);
        const { embedFp, dims } = generation;
        const embedder = await deps.embedder(tenant, generation);
        if (embedder.embedFp !== embedFp)
          throw new PlatformError(
            'EMBEDDER_MISCONFIGURED',
            'The embedder is another one than the generation was made with.',
          );
        const current = await embedder.embed(canaryTexts, 'document', signal);
        const stored = await deps.findCanaries(tenant, embedFp, dims);
        if (stored === undefined) {
          await deps.saveCanaries(tenant, embedFp, { dims, vectors: current });
          return { drifted: false, lowest: 1 };
        }
        const verdict = verdictOf(stored, current);
        await deps.settleCanaries(workflowCaller(tenant), embedFp, verdict);
        // JSON has no NaN: a missing or zero vector is as far away as can be.
        const lowest = Number.isNaN(verdict.lowest) ? -1 : verdict.lowest;
        return { drifted: verdict.drifted, lowest };
      },
    );
