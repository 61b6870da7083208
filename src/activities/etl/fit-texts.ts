import type { FittedEmbedder } from '../../domain/etl/reembed.js';
import { workflowCaller } from '../run-of.js';
import { keepClaims } from './keep-claims.js';
import type { ReembedDeps } from './reembed-deps.js';

export interface FitTextsInput {
  tenant: string;
  fitId: string;
  /** Texts above this number are sampled by their hash. */
  maxTexts: number;
}

/**
 * Fits an embedder on the stored text of a collection and opens the generation that waits for it. A repeat of a fit that
 * is DONE changes nothing.
 * @throws EMBEDDER_MISCONFIGURED (nothing to fit on), EMBEDDER_UNKNOWN, STORE_UNAVAILABLE (retryable), NOT_FOUND
 */
export const createFitTexts =
  (deps: ReembedDeps) =>
  ({
    tenant,
    fitId,
    maxTexts,
  }: FitTextsInput): Promise<Pick<FittedEmbedder, 'texts' | 'terms' | 'bytes'>> =>
    keepClaims(
      async () => undefined,
      async ({ signal }) => {
        const { embedder, collectionId } = await deps.fits.readFit(tenant, fitId);
        const texts = deps.fits.chunkTexts(tenant, { collectionId, maxTexts });
        const fitted = await deps.fit({ tenant, embedder, texts }, signal);
        await deps.fits.completeFit(workflowCaller(tenant), fitId, fitted);
        return { texts: fitted.texts, terms: fitted.terms, bytes: fitted.bytes };
      },
    );
