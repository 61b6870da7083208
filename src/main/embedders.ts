import { readFile } from 'node:fs/promises';
import type { Egress } from '../adapters/egress/create-egress.js';
import { countTokens, TOKENIZER } from '../adapters/embedding-openai/count-tokens.js';
import { createOpenAiEmbedder } from '../adapters/embedding-openai/create-openai-embedder.js';
import { createLocalEmbedder } from '../adapters/local-embedder/create-local-embedder.js';
import type { EmbedderOffer } from '../api/etl/index.js';
import type { Config } from '../config.js';
import { PlatformError } from '../domain/errors.js';
import type { TokenGuard } from '../domain/etl/chunk-text.js';
import { embedFp, localIdentity } from '../domain/etl/embed-fp.js';
import type { Embedder } from '../domain/etl/embedder.js';
import type { GenerationFacts } from '../domain/etl/ledger.js';
import { Secret } from '../domain/secrets.js';
import type { Parts } from './dependencies.js';
import { startWorkerThread } from './model-runtime.js';

/** Name under which the configured OpenAI-compatible service is offered. */
const OPENAI = 'openai';
const LSA_DIMS = 384;

type Closable = Embedder & { close?: () => Promise<void> };

type ConfiguredService = Pick<Config['etl'], 'maxTokens'> & {
  embedding: NonNullable<Config['etl']['embedding']>;
};

/** The client of the configured service. */
const openAiEmbedder = (
  egress: Egress,
  { embedding, maxTokens }: ConfiguredService,
  token?: string,
): Embedder => {
  const { url, model, revision, dims, sendDims, prefixes, rate } = embedding;
  return createOpenAiEmbedder({
    ...{ model, revision, dims, sendDims, prefixes, rate },
    limits: { maxTokensPerInput: maxTokens },
    fetch: egress.fetch,
    baseUrl: url,
    apiKey: token === undefined ? undefined : new Secret(Buffer.from(token)),
  });
};

/** Room for what a prefix and a text become together beyond what each is alone. */
const JOINED_TOKENS = 8;

/** What a chunk may be long, counted as the configured service counts: the same for all embedders, because chunks outlive one. */
export function chunkTokensOf({ etl }: Pick<Config, 'etl'>): TokenGuard {
  const prefix = etl.embedding?.prefixes.document ?? '';
  const taken = prefix === '' ? 0 : countTokens(prefix) + JOINED_TOKENS;
  return { tokenizer: TOKENIZER, max: Math.max(16, etl.maxTokens - taken), count: countTokens };
}

/**
 * Embedders by what a generation was made with; each is started once and lives as long as the process. A generation whose
 * service is no longer the configured one is refused, never answered by another model.
 */
export function createEmbedders(
  { artifacts, config }: Pick<Parts, 'artifacts' | 'config'>,
  egress: Egress,
) {
  const known = new Map<string, Promise<Closable>>();
  const remote = async (): Promise<Embedder> => {
    const { embedding } = config.etl;
    if (embedding === undefined)
      throw new PlatformError('EMBEDDER_UNKNOWN', 'There is no such embedder here.');
    const { keyFile } = embedding;
    // From a file, so that the token is in no environment and a new one needs no new configuration.
    const token = keyFile === undefined ? undefined : (await readFile(keyFile, 'utf8')).trim();
    return openAiEmbedder(egress, { ...config.etl, embedding }, token);
  };
  const fitted = async (embedSpec: GenerationFacts['embedSpec']): Promise<Closable> => {
    const { artifactRef, artifactDigest } = embedSpec;
    if (typeof artifactRef !== 'string')
      throw new PlatformError('EMBEDDER_MISCONFIGURED', 'The embedder has not been fitted yet.');
    const chunks: Uint8Array[] = [];
    for await (const chunk of artifacts.openStream(artifactRef, { verify: true }))
      chunks.push(chunk);
    const artifact = Buffer.concat(chunks);
    const digest = artifactDigest as `sha256:${string}`;
    return createLocalEmbedder({
      model: { id: 'lsa', artifact, digest },
      startThread: startWorkerThread,
    });
  };
  const make = async ({ embedder, embedSpec }: GenerationFacts): Promise<Closable> => {
    if (embedder === 'hash-384')
      return createLocalEmbedder({ model: { id: 'hash-384' }, startThread: startWorkerThread });
    if (embedder === 'lsa') return fitted(embedSpec);
    if (embedder === OPENAI) return remote();
    throw new PlatformError('EMBEDDER_UNKNOWN', 'There is no such embedder here.');
  };
  const checked = async (generation: GenerationFacts): Promise<Closable> => {
    const embedder = await make(generation);
    if (embedder.embedFp === generation.embedFp) return embedder;
    await embedder.close?.();
    throw new PlatformError(
      'EMBEDDER_MISCONFIGURED',
      'The configured embedder is not the one that this generation was made with.',
    );
  };
  return {
    embedderOf: (_tenant: string, generation: GenerationFacts): Promise<Embedder> => {
      const started = known.get(generation.embedFp) ?? checked(generation);
      known.set(generation.embedFp, started);
      started.catch(() => known.delete(generation.embedFp));
      return started;
    },
    close: async () => {
      const ended = await Promise.allSettled(known.values());
      for (const one of ended) if (one.status === 'fulfilled') await one.value.close?.();
    },
  };
}

/** What a collection may name as its embedder here. `lsa` has its fingerprint from the fit. */
export function embedderOffers(
  { config }: Pick<Parts, 'config'>,
  egress: Egress,
): (name: string) => EmbedderOffer | undefined {
  const hash = localIdentity({ id: 'hash-384' });
  const offers: EmbedderOffer[] = [
    {
      embedder: 'hash-384',
      embedSpec: { ...hash },
      embedFp: embedFp(hash),
      dims: hash.dims,
      fitted: false,
    },
    { embedder: 'lsa', embedSpec: {}, embedFp: 'unfitted', dims: LSA_DIMS, fitted: true },
  ];
  const { embedding } = config.etl;
  if (embedding !== undefined) {
    const { embedFp: fp, dims, id } = openAiEmbedder(egress, { ...config.etl, embedding });
    offers.push({
      embedder: OPENAI,
      embedSpec: { model: id, revision: embedding.revision, prefixes: embedding.prefixes },
      embedFp: fp,
      dims,
      fitted: false,
    });
  }
  return (name) => offers.find(({ embedder }) => embedder === name);
}
