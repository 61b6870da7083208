import { z } from 'zod';
import { PlatformError } from '../../domain/errors.js';

// Read loosely: only the fields in use. `null` is how JSON writes NaN; such a vector is the caller's to quarantine.
const answerSchema = z.object({
  data: z.array(
    z.object({
      index: z.int().nonnegative().optional(),
      embedding: z.union([z.string(), z.array(z.number().nullable())]),
    }),
  ),
  usage: z
    .object({ prompt_tokens: z.number().optional(), total_tokens: z.number().optional() })
    .optional(),
});

/** Little-endian float32 of base64, or the numbers themselves. A length that is no multiple of 4 gives no value. */
function vectorOf(embedding: string | (number | null)[]): Float32Array {
  if (typeof embedding !== 'string') return Float32Array.from(embedding, (value) => value ?? NaN);
  const bytes = Buffer.from(embedding, 'base64');
  if (bytes.length % 4 !== 0) return new Float32Array(0);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Float32Array.from({ length: bytes.length / 4 }, (_, at) => view.getFloat32(at * 4, true));
}

/**
 * Vectors of an answer in the order of the inputs, and the tokens it was charged for.
 * @throws PlatformError EMBEDDER_UNAVAILABLE for an answer that is not one vector for each input
 */
export function readVectors(
  body: Uint8Array,
  inputs: number,
): { vectors: Float32Array[]; tokens: number | undefined } {
  const unreadable = (internal: string) =>
    new PlatformError('EMBEDDER_UNAVAILABLE', 'the embedder answered what cannot be read', {
      internal,
    });
  let json: unknown;
  try {
    json = JSON.parse(Buffer.from(body).toString());
  } catch {
    throw unreadable('no JSON');
  }
  const parsed = answerSchema.safeParse(json);
  if (!parsed.success) throw unreadable('another shape');
  const { data, usage } = parsed.data;
  const byPosition = new Map(data.map(({ index, embedding }, at) => [index ?? at, embedding]));
  const vectors = Array.from({ length: inputs }, (_, at) => {
    const embedding = byPosition.get(at);
    if (embedding === undefined) throw unreadable(`${data.length} vectors for ${inputs} inputs`);
    return vectorOf(embedding);
  });
  if (data.length !== inputs) throw unreadable(`${data.length} vectors for ${inputs} inputs`);
  return { vectors, tokens: usage?.total_tokens ?? usage?.prompt_tokens };
}
