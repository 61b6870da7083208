import { PlatformError } from '../../domain/errors.js';
import type { Digest } from '../../domain/ids.js';
import { ProviderFailure, type ModelRuntime } from '../../domain/inference/runtime.js';
import { measureParity, type ParityReport } from '../../domain/training/measure-parity.js';
import type { TrainedModel } from '../../domain/training/trained-model.js';
import type { RawRow } from '../../domain/training/training-table.js';

const SCORE_TIMEOUT_MS = 120_000;

/** Probabilities of the exported model for rows, in order. @throws RUNTIME_UNAVAILABLE, ARTIFACT_CORRUPT (final) */
export type Score = (rows: readonly RawRow[]) => Promise<number[]>;

/** A failure of the runtime that no retry cures, as the code it is; everything else is retried. */
function translated(error: unknown): unknown {
  if (!(error instanceof ProviderFailure) || error.code === undefined) return error;
  return new PlatformError(error.code, 'The model runtime refused the exported model.', {
    internal: error.message,
  });
}

/**
 * Scores with a stored artifact and forgets it afterwards, unless the runtime had it before: a version is loaded for
 * serving only together with its golden rows.
 */
export async function withScorer<T>(
  runtime: ModelRuntime,
  about: { digest: Digest; signal: AbortSignal },
  work: (score: Score) => Promise<T>,
): Promise<T> {
  const { digest, signal } = about;
  const version = { digest, golden: [] };
  const { unavailable } = runtime.capabilities(version);
  if (unavailable !== undefined)
    throw new PlatformError('RUNTIME_UNAVAILABLE', 'There is no ONNX runtime to check with.', {
      internal: unavailable,
    });
  const { resident } = await runtime.health(signal);
  const isForeign = resident.some((model) => model.digest === digest);
  try {
    return await work(async (rows) => {
      const call = { version, rows, timeoutMs: SCORE_TIMEOUT_MS };
      return (await runtime.predict(call, signal)).probabilities;
    });
  } catch (error) {
    throw translated(error);
  } finally {
    if (!isForeign) await runtime.dispose(version);
  }
}

/** Parity of the artifact with the trained model on held-out rows. @throws ONNX_PARITY_FAILED with the figures */
export async function requireParity(
  model: TrainedModel,
  rows: readonly RawRow[],
  score: Score,
): Promise<ParityReport> {
  const parity = await measureParity(model, rows, score);
  if (parity.ok) return parity;
  const { maxAbsDifference, labelMismatches } = parity;
  throw new PlatformError(
    'ONNX_PARITY_FAILED',
    `The exported model differs by ${maxAbsDifference} on ${parity.rows} rows; ${labelMismatches} labels differ.`,
    { extensions: { maxAbsDifference: String(maxAbsDifference), labelMismatches } },
  );
}
