import { digestOf } from '../digest.js';
import { PlatformError } from '../errors.js';
import { lsaDims, type LsaModel } from './lsa.js';

/*
 * Bytes of a fitted `lsa`: `LSA2`, then little-endian: uint32 number of terms n, uint32 bytes of the term list, the
 * terms as UTF-8 joined by line feeds (a term holds letters and numbers only), zero bytes up to a multiple of 8, n
 * float64 idf, n × 384 float32 projection.
 */
const magic = 'LSA2';
const headerBytes = 12;
const paddedTo8 = (bytes: number): number => Math.ceil(bytes / 8) * 8;

/** Bytes of a model and their digest; equal models give equal bytes. */
export function encodeLsa(model: LsaModel): { bytes: Uint8Array; digest: `sha256:${string}` } {
  const names = new TextEncoder().encode([...model.terms.keys()].join('\n'));
  const idfAt = paddedTo8(headerBytes + names.length);
  const count = model.terms.size;
  const bytes = new Uint8Array(idfAt + count * 8 + count * lsaDims * 4);
  const view = new DataView(bytes.buffer);
  bytes.set(new TextEncoder().encode(magic));
  view.setUint32(4, count, true);
  view.setUint32(8, names.length, true);
  bytes.set(names, headerBytes);
  model.idf.forEach((value, at) => view.setFloat64(idfAt + at * 8, value, true));
  const projectionAt = idfAt + count * 8;
  model.projection.forEach((value, at) => view.setFloat32(projectionAt + at * 4, value, true));
  return { bytes, digest: lsaDigest(bytes) };
}

/** Digest of the artifact: part of `embed_fp`. */
const lsaDigest = (bytes: Uint8Array): `sha256:${string}` => digestOf('anneal.etl.lsa', bytes);

/** @throws PlatformError ARTIFACT_CORRUPT where the bytes are no artifact, or not the one of `digest` */
export function decodeLsa(bytes: Uint8Array, digest?: string): LsaModel {
  const corrupt = (internal: string) =>
    new PlatformError('ARTIFACT_CORRUPT', 'the fitted embedder cannot be read', { internal });
  if (digest !== undefined && lsaDigest(bytes) !== digest) throw corrupt('digest differs');
  if (bytes.length < headerBytes || new TextDecoder().decode(bytes.subarray(0, 4)) !== magic)
    throw corrupt('no LSA2 header');
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const count = view.getUint32(4, true);
  const nameBytes = view.getUint32(8, true);
  const idfAt = paddedTo8(headerBytes + nameBytes);
  const projectionAt = idfAt + count * 8;
  if (bytes.length !== projectionAt + count * lsaDims * 4) throw corrupt('wrong length');
  const names = new TextDecoder()
    .decode(bytes.subarray(headerBytes, headerBytes + nameBytes))
    .split('\n');
  const idf = new Float64Array(count);
  for (let at = 0; at < count; at++) idf[at] = view.getFloat64(idfAt + at * 8, true);
  const projection = new Float32Array(count * lsaDims);
  for (let at = 0; at < projection.length; at++)
    projection[at] = view.getFloat32(projectionAt + at * 4, true);
  const terms = new Map(names.map((name, at) => [name, at]));
  if (terms.size !== count) throw corrupt('repeated terms');
  return { terms, idf, projection };
}
