import { PlatformError, type FieldError } from '../../domain/errors.js';
import type { EtlRouteDeps, GenerationSpecFacts } from './etl-route-deps.js';

/** Names what a generation is asked to be made of. */
interface Asked {
  embedder: string;
  sink: string;
  lexicalSink?: string | undefined;
}

const wrong = (pointer: string, code: FieldError['code'], detail: string): FieldError => ({
  pointer,
  code,
  detail,
});

/**
 * The generation that a request names, of what this installation offers.
 * @param allowFitted whether there are documents that an embedder may be fitted on
 * @throws EMBEDDER_UNKNOWN, SINK_UNKNOWN, SINK_UNSUPPORTED_DIMS, each with every wrong field
 */
export function generationSpec(
  deps: Pick<EtlRouteDeps, 'findEmbedder' | 'findSink'>,
  asked: Asked,
  allowFitted: boolean,
): GenerationSpecFacts {
  const embedder = deps.findEmbedder(asked.embedder);
  const sink = deps.findSink(asked.sink);
  const errors: FieldError[] = [];
  if (embedder === undefined)
    errors.push(wrong('/embedder', 'EMBEDDER_UNKNOWN', 'is not offered here'));
  else if (embedder.fitted && !allowFitted)
    errors.push(
      wrong(
        '/embedder',
        'EMBEDDER_UNKNOWN',
        'is fitted on documents: re-embed once there are some',
      ),
    );
  if (sink === undefined) errors.push(wrong('/sink', 'SINK_UNKNOWN', 'is not offered here'));
  else if (asked.lexicalSink !== undefined && asked.lexicalSink !== sink.lexicalSink)
    errors.push(
      wrong('/lexicalSink', 'SINK_UNKNOWN', `is not offered beside it: “${sink.lexicalSink}” is`),
    );
  if (embedder === undefined || sink === undefined || errors.length > 0) {
    const isEmbedder = errors.some(({ code }) => code === 'EMBEDDER_UNKNOWN');
    throw new PlatformError(
      isEmbedder ? 'EMBEDDER_UNKNOWN' : 'SINK_UNKNOWN',
      `Fields that name what this installation does not offer: ${errors.length}.`,
      { errors },
    );
  }
  if (embedder.dims > sink.maxDims)
    throw new PlatformError(
      'SINK_UNSUPPORTED_DIMS',
      `The store holds vectors of at most ${sink.maxDims} dimensions.`,
      {
        errors: [{ pointer: '/sink', code: 'SINK_UNSUPPORTED_DIMS' }],
        extensions: { dims: embedder.dims, maxDims: sink.maxDims },
      },
    );
  const { embedSpec, embedFp, dims, fitted } = embedder;
  return { ...asked, lexicalSink: sink.lexicalSink, embedSpec, embedFp, dims, fitted };
}
