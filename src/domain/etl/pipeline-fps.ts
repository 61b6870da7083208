import { chunkFp, parseFp, pipelineFp, type Fingerprint } from './fingerprints.js';
import type { Pipeline } from './ledger.js';
import { mediaTypes } from './media-types.js';

/**
 * `pipeline_fp` of every media type as a collection has its documents processed now: a document that has none of these
 * went through another pipeline.
 * @param pii version of the PII policy and id of the key of its pseudonyms
 */
export function pipelineFps(
  { chunking }: Pick<Pipeline, 'chunking'>,
  pii: { policyVersion: string; keyId: string },
): Fingerprint[] {
  const chunk = chunkFp({ target: chunking.targetChars, max: chunking.maxChars });
  return mediaTypes.map((mediaType) => pipelineFp(parseFp(mediaType, pii), chunk));
}
