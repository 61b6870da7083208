/** Why a text is embedded: models with prefixes treat the two differently. */
export type EmbedKind = 'document' | 'query';

/** What one request to an embedder may hold. */
export interface EmbedderLimits {
  maxInputs: number;
  maxTokensPerInput: number;
  maxTokensPerRequest: number;
}

/**
 * Port of an embedder. `embed` answers one vector of `dims` values per text, in order. It is stateless: the same text,
 * kind and `embedFp` give the same vector. Failures: `EMBEDDER_UNAVAILABLE`, `EMBEDDER_RATE_LIMITED` (both retryable,
 * with `extensions.retryAfterMs` where the provider said one), `EMBEDDER_REFUSED_INPUT` (final, for the text at
 * `extensions.index`), `EMBEDDER_MISCONFIGURED`. A vector of a provider is handed on as it came: check it with `badVectors`.
 */
export interface Embedder {
  /** Name of the embedder, such as `hash-384`. */
  id: string;
  /** `sha256:<hex>` over everything that decides a vector; one per generation. */
  embedFp: string;
  dims: number;
  /** Whether vectors are worth keeping: true where a call costs money. */
  memo: boolean;
  limits: EmbedderLimits;
  /** Tokens a second, and at once after a pause, that all workers together may send; undefined: as many as they like. */
  rate?: { perSecond: number; burst: number } | undefined;
  /** An undefined entry: the text holds nothing this embedder can embed (no token left); it is counted, not indexed. */
  embed: (
    texts: readonly string[],
    kind: EmbedKind,
    signal: AbortSignal,
  ) => Promise<(Float32Array | undefined)[]>;
}
