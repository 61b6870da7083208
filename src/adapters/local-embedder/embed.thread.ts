import { parentPort, workerData } from 'node:worker_threads';
import { hash384Dims, hash384Into } from '../../domain/etl/hash-384.js';
import { decodeLsa } from '../../domain/etl/lsa-artifact.js';
import { lsaDims, lsaInto } from '../../domain/etl/lsa.js';
import type { EmbedAnswer, EmbedJob, LocalModel } from './embed-protocol.js';

type EmbedInto = (text: string, out: Float32Array, offset: number) => boolean;

function load(model: LocalModel): { dims: number; into: EmbedInto } {
  if (model.id === 'hash-384') return { dims: hash384Dims, into: hash384Into };
  const fitted = decodeLsa(model.artifact, model.digest);
  return { dims: lsaDims, into: (text, out, offset) => lsaInto(fitted, text, { out, offset }) };
}

const { dims, into } = load(workerData as LocalModel);

parentPort?.on('message', ({ job, texts }: EmbedJob) => {
  const vectors = new Float32Array(texts.length * dims);
  const present = new Uint8Array(texts.length);
  try {
    texts.forEach((text, at) => {
      present[at] = into(text, vectors, at * dims) ? 1 : 0;
    });
    const answer: EmbedAnswer = { job, vectors, present };
    parentPort?.postMessage(answer, [vectors.buffer, present.buffer]);
  } catch (error) {
    const answer: EmbedAnswer = { job, error: String(error) };
    parentPort?.postMessage(answer);
  }
});
