const SHINGLE_WORDS = 3;
const FNV_OFFSET = 0x811c9dc5;
const FNV_PRIME = 0x01000193;
const GOLDEN = 0x9e3779b1;

const isWordUnit = (code: number): boolean =>
  (code >= 0x30 && code <= 0x39) ||
  (code >= 0x41 && code <= 0x5a) ||
  (code >= 0x61 && code <= 0x7a) ||
  code >= 0xaa;

/** FNV-1a (32 bits) of each word, ASCII letters folded to lower case. */
function wordHashes(text: string): number[] {
  const hashes: number[] = [];
  let hash = FNV_OFFSET;
  let isInside = false;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (isWordUnit(code)) {
      hash = Math.imul(hash ^ (code >= 0x41 && code <= 0x5a ? code + 32 : code), FNV_PRIME);
      isInside = true;
    } else if (isInside) {
      hashes.push(hash);
      hash = FNV_OFFSET;
      isInside = false;
    }
  }
  if (isInside) hashes.push(hash);
  return hashes;
}

/** Finaliser of MurmurHash3: every input bit reaches every output bit. */
function mix(value: number): number {
  let hash = value;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return hash ^ (hash >>> 16);
}

// Ones are counted eight bits at a time: a table holds, for each byte, its bits as lanes of 8 bits in two numbers, and
// the lanes are emptied before one of them can run over.
const LANES_FULL = 255;
const lowLanes = new Int32Array(256);
const highLanes = new Int32Array(256);
for (let byte = 0; byte < 256; byte++)
  for (let bit = 0; bit < 4; bit++) {
    lowLanes[byte] = (lowLanes[byte] ?? 0) | (((byte >>> bit) & 1) << (8 * bit));
    highLanes[byte] = (highLanes[byte] ?? 0) | (((byte >>> (bit + 4)) & 1) << (8 * bit));
  }

/** Adds the ones of 32 bits to the lanes from `from` on. */
function addOnes(lanes: Int32Array, from: number, bits: number): void {
  for (let byte = 0; byte < 4; byte++) {
    const value = (bits >>> (8 * byte)) & 0xff;
    const at = from + 2 * byte;
    lanes[at] = (lanes[at] ?? 0) + (lowLanes[value] ?? 0);
    lanes[at + 1] = (lanes[at + 1] ?? 0) + (highLanes[value] ?? 0);
  }
}

function emptyLanes(lanes: Int32Array, ones: Int32Array): void {
  for (let bit = 0; bit < ones.length; bit++)
    ones[bit] = (ones[bit] ?? 0) + (((lanes[bit >>> 2] ?? 0) >>> (8 * (bit & 3))) & 0xff);
  lanes.fill(0);
}

/**
 * Simhash of a text (Charikar 2002): 64 bits, over every run of three words, each counted once per place. Texts that
 * share most of their runs differ in few bits.
 * @returns the bits as a signed 64-bit integer, as a database stores them; 0 for a text without words
 */
export function simhash(text: string): bigint {
  const words = wordHashes(text);
  const lanes = new Int32Array(16);
  const ones = new Int32Array(64);
  const runs = words.length === 0 ? 0 : Math.max(1, words.length - SHINGLE_WORDS + 1);
  for (let at = 0; at < runs; at++) {
    let shingle = 0;
    for (let next = at; next < Math.min(words.length, at + SHINGLE_WORDS); next++)
      shingle = mix(Math.imul(shingle, 31) + (words[next] ?? 0));
    addOnes(lanes, 0, mix(shingle ^ GOLDEN));
    addOnes(lanes, 8, shingle);
    if ((at + 1) % LANES_FULL === 0) emptyLanes(lanes, ones);
  }
  emptyLanes(lanes, ones);
  let bits = 0n;
  for (let bit = 63; bit >= 0; bit--) bits = (bits << 1n) | ((ones[bit] ?? 0) * 2 > runs ? 1n : 0n);
  return BigInt.asIntN(64, bits);
}

/**
 * The four 16-bit bands of a simhash as `place × 65536 + value`, lowest first. Two that differ in at most 3 bits share at
 * least one band (pigeonhole).
 */
export function simhashBands(simhash: bigint): number[] {
  const bits = BigInt.asUintN(64, simhash);
  return [0, 1, 2, 3].map(
    (place) => place * 65_536 + Number((bits >> BigInt(16 * place)) & 0xffffn),
  );
}
