import type { TokenGuard } from './chunk-text.js';
import { chunkFp, parseFp, pipelineFp, type Fingerprint } from './fingerprints.js';
import type { Pipeline } from './ledger.js';
import { mediaTypes } from './media-types.js';

/** The fingerprint of the chunker of a collection. */
export const chunkFpOf = (
  { chunking }: Pick<Pipeline, 'chunking'>,
  { tokenizer, max }: Pick<TokenGuard, 'tokenizer' | 'max'>,
): Fingerprint =>
  chunkFp({ target: chunking.targetChars, max: chunking.maxChars, tokens: { tokenizer, max } });

/**
 * `pipeline_fp` of every media type as a collection has its documents processed now: a document that has none of these
 * went through another pipeline.
 * @param pii version of the PII policy and id of the key of its pseudonyms
 */
export function pipelineFps(
  pipeline: Pick<Pipeline, 'chunking'>,
  pii: { policyVersion: string; keyId: string },
  tokens: Pick<TokenGuard, 'tokenizer' | 'max'>,
): Fingerprint[] {
  const chunk = chunkFpOf(pipeline, tokens);
  return mediaTypes.map((mediaType) => pipelineFp(parseFp(mediaType, pii), chunk));
}
