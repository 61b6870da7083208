import { tokens } from './tokens.js';

/** Values of an `lsa` vector; where the corpus has fewer dimensions the last ones are 0. */
export const lsaDims = 384;

/** A fitted `lsa` v2: what a text needs to become a vector. */
export interface LsaModel {
  /** Terms in the order of their rows. */
  terms: ReadonlyMap<string, number>;
  /** Smoothed inverse document frequency by term. */
  idf: Float64Array;
  /** Right singular vectors: `terms × 384`, row-major, component with the largest singular value first. */
  projection: Float32Array;
}

/** Terms of one text by index, with `(1 + ln tf) · idf`, L2-normalised; ascending by index. */
export interface TermWeights {
  index: Uint32Array;
  weight: Float64Array;
}

/** TF-IDF of a text's tokens over a vocabulary (Salton and Buckley, 1988: `ltc`). Empty where no term is known. */
export function termWeights(
  stems: readonly string[],
  { terms, idf }: Pick<LsaModel, 'terms' | 'idf'>,
): TermWeights {
  const counts = new Map<number, number>();
  for (const stem of stems) {
    const index = terms.get(stem);
    if (index !== undefined) counts.set(index, (counts.get(index) ?? 0) + 1);
  }
  const index = Uint32Array.from(counts.keys()).sort();
  const weight = Float64Array.from(
    index,
    (term) => (1 + Math.log(counts.get(term) ?? 1)) * (idf[term] ?? 0),
  );
  let square = 0;
  for (const value of weight) square += value * value;
  const scale = square === 0 ? 0 : 1 / Math.sqrt(square);
  return { index, weight: weight.map((value) => value * scale) };
}

const sums = new Float64Array(lsaDims);

/**
 * Projects one text into `out[offset … offset + 383]`, L2-normalised. Documents and queries alike (Deerwester et al.,
 * JASIS 41(6), 1990, folding in). False, and `out` untouched, where no word of it is in the vocabulary.
 */
export function lsaInto(
  model: LsaModel,
  text: string,
  { out, offset }: { out: Float32Array; offset: number },
): boolean {
  const { index, weight } = termWeights(tokens(text), model);
  sums.fill(0);
  for (let at = 0; at < index.length; at++) {
    const base = (index[at] ?? 0) * lsaDims;
    const value = weight[at] ?? 0;
    for (let d = 0; d < lsaDims; d++)
      sums[d] = (sums[d] ?? 0) + value * (model.projection[base + d] ?? 0);
  }
  let square = 0;
  for (const sum of sums) square += sum * sum;
  if (square === 0) return false;
  const scale = 1 / Math.sqrt(square);
  for (let d = 0; d < lsaDims; d++) out[offset + d] = (sums[d] ?? 0) * scale;
  return true;
}

/** {@link lsaInto} into a vector of its own; undefined where no word of the text is known. */
export function lsaVector(model: LsaModel, text: string): Float32Array | undefined {
  const out = new Float32Array(lsaDims);
  return lsaInto(model, text, { out, offset: 0 }) ? out : undefined;
}
