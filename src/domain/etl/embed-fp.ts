import { digestOf } from '../digest.js';

/** Everything that decides a vector. Two embedders with equal values answer equal vectors. */
export interface EmbedderIdentity {
  /** `local`, or the kind of the remote provider. */
  provider: string;
  model: string;
  revision: string;
  dims: number;
  /** Put before each text by kind; empty where the model has none. */
  prefixes: { document: string; query: string };
  /** How token vectors become one: `none` where the provider answers one. */
  pooling: string;
  normalisation: 'l2' | 'none';
  quantisation: 'none' | 'int8' | 'binary';
  /** Digest of a fitted artifact; undefined where nothing was fitted. */
  artifactDigest?: `sha256:${string}` | undefined;
}

/** `embed_fp` of etl.md §2: one per generation, and part of the memo's key. */
export const embedFp = (identity: EmbedderIdentity): `sha256:${string}` =>
  digestOf('anneal.etl.embed-fp', {
    provider: identity.provider,
    model: identity.model,
    revision: identity.revision,
    dims: identity.dims,
    documentPrefix: identity.prefixes.document,
    queryPrefix: identity.prefixes.query,
    pooling: identity.pooling,
    normalisation: identity.normalisation,
    quantisation: identity.quantisation,
    artifactDigest: identity.artifactDigest ?? null,
  });

/** What `hash-384` v1 and `lsa` v2 are, for {@link embedFp}. */
export const localIdentity = (
  of: { id: 'hash-384' } | { id: 'lsa'; dims: number; artifactDigest: `sha256:${string}` },
): EmbedderIdentity => ({
  provider: 'local',
  model: of.id,
  revision: of.id === 'hash-384' ? 'v1' : 'v2',
  dims: of.id === 'hash-384' ? 384 : of.dims,
  prefixes: { document: '', query: '' },
  pooling: 'none',
  normalisation: 'l2',
  quantisation: 'none',
  artifactDigest: of.id === 'lsa' ? of.artifactDigest : undefined,
});
