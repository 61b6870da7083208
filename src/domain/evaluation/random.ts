// In a sandboxed context every use of a global is a lookup through an interceptor; hot loops take it once.
const { floor, imul } = Math;

/** A seeded stream of numbers: equal seed and stream name give equal numbers on every platform. */
export interface Random {
  /** Next integer, uniform on 0 … 2^32 − 1. */
  uint32(): number;
  /** Next double, uniform on [0, 1) with 53 random bits. */
  uniform(): number;
  /** Next integer, uniform on 0 … bound − 1. `bound` is an integer from 1 to 2^53 − 1. */
  below(bound: number): number;
}

const TWO_32 = 4_294_967_296;
/** Up to this bound a 32-bit draw times the bound is exact in a double. */
const EXACT_BOUND = 2_097_152;

function hashText(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = imul(hash ^ text.charCodeAt(i), 0x01000193);
  return hash >>> 0;
}

function splitmix32(start: number): () => number {
  let state = start | 0;
  return () => {
    state = (state + 0x9e3779b9) | 0;
    let mixed = imul(state ^ (state >>> 16), 0x21f0aaad);
    mixed = imul(mixed ^ (mixed >>> 15), 0x735a2d97);
    return mixed ^ (mixed >>> 15);
  };
}

/**
 * sfc32 (Chris Doty-Humphrey, PractRand 0.9x; state 3 × 32 bits and a counter), seeded by splitmix32 over the low
 * word, the high word and the FNV-1a hash of the stream name, with 15 warm-up steps. Integer arithmetic only, so no
 * platform's mathematics library can change the stream. Integers below a bound are unbiased up to 2^21 (Lemire, Fast
 * random integer generation in an interval, 2019); above, the bias is below bound / 2^53.
 * @param seed integer, 0 ≤ seed < 2^53
 * @param stream name of an independent stream of the same seed, so that adding a consumer moves no other's numbers
 */
export function createRandom(seed: number, stream = ''): Random {
  const low = splitmix32(seed % TWO_32);
  const high = splitmix32(floor(seed / TWO_32) ^ 0x5bf03635);
  const name = splitmix32(hashText(stream));
  let a = low() ^ high() ^ name();
  let b = low() ^ high() ^ name();
  let c = low() ^ high() ^ name();
  let counter = 1;
  const uint32 = (): number => {
    const sum = (a + b + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (((c << 21) | (c >>> 11)) + sum) | 0;
    return sum >>> 0;
  };
  const uniform = (): number => {
    const upper = uint32() >>> 5;
    return (upper * 67_108_864 + (uint32() >>> 6)) / 9_007_199_254_740_992;
  };
  const below = (bound: number): number => {
    if (bound > EXACT_BOUND) return floor(uniform() * bound);
    for (;;) {
      const product = uint32() * bound;
      const result = floor(product / TWO_32);
      const rest = product - result * TWO_32;
      if (rest >= bound || rest >= TWO_32 % bound) return result;
    }
  };
  for (let i = 0; i < 15; i++) uint32();
  return { uint32, uniform, below };
}
