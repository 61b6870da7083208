import { porterStem } from './porter-stem.js';
import { stopWords } from './stop-words.js';
import { ownCopy, words } from './tokens.js';

/** Values of a `hash-384` vector. */
export const hash384Dims = 384;

const fnvOffset = 0x811c9dc5;
const fnvPrime = 0x01000193;

/** FNV-1a, 32 bits, of the UTF-8 bytes of a text, unsigned (Fowler, Noll, Vo; RFC 9923). */
export function fnv1a32(text: string): number {
  let hash = fnvOffset;
  const add = (byte: number) => {
    hash = Math.imul(hash ^ byte, fnvPrime);
  };
  for (let at = 0; at < text.length; at++) {
    const point = text.codePointAt(at) ?? 0;
    if (point < 0x80) {
      add(point);
    } else if (point < 0x800) {
      add(0xc0 | (point >> 6));
      add(0x80 | (point & 0x3f));
    } else if (point < 0x10000) {
      // A lone surrogate has no UTF-8 form; encoders write U+FFFD for it.
      const valid = point >= 0xd800 && point <= 0xdfff ? 0xfffd : point;
      add(0xe0 | (valid >> 12));
      add(0x80 | ((valid >> 6) & 0x3f));
      add(0x80 | (valid & 0x3f));
    } else {
      at++;
      add(0xf0 | (point >> 18));
      add(0x80 | ((point >> 12) & 0x3f));
      add(0x80 | ((point >> 6) & 0x3f));
      add(0x80 | (point & 0x3f));
    }
  }
  return hash >>> 0;
}

/** What the embedding needs of a word: equal stems share an id, because `tf` counts stems. */
interface Terms {
  ids: Map<string, number>;
  idOfStem: Map<string, number>;
  index: Uint16Array;
  sign: Int8Array;
  /** Occurrences in the text at hand; all 0 between two texts. */
  count: Uint32Array;
  used: number;
}

const stopWordId = -1;
// Word forms; at most 100,000, so that a stream of random words cannot fill the memory.
const maxWords = 100_000;
const maxWordLength = 64;

const emptyTerms = (): Terms => ({
  ids: new Map(),
  idOfStem: new Map(),
  index: new Uint16Array(maxWords),
  sign: new Int8Array(maxWords),
  count: new Uint32Array(maxWords),
  used: 0,
});

// eslint-disable-next-line no-restricted-syntax -- changes the time a call takes, never its result
let cache: Terms | undefined;

function idOf(terms: Terms, word: string): number {
  const known = terms.ids.get(word);
  if (known !== undefined) return known;
  let id = stopWordId;
  if (!stopWords.has(word)) {
    const stem = ownCopy(porterStem(word));
    id = terms.idOfStem.get(stem) ?? addStem(terms, stem);
  }
  terms.ids.set(ownCopy(word), id);
  return id;
}

function addStem(terms: Terms, stem: string): number {
  const id = terms.used++;
  const hash = fnv1a32(stem);
  terms.index[id] = (hash & 0x7fffffff) % hash384Dims;
  terms.sign[id] = hash >>> 31 === 1 ? 1 : -1;
  terms.idOfStem.set(stem, id);
  return id;
}

/** Ids of a text's words, repetitions included; undefined where the cache has no room (or a word is too long for it). */
function idsOf(terms: Terms, found: readonly string[]): number[] | undefined {
  const ids: number[] = [];
  for (const word of found) {
    if (word.length > maxWordLength) return undefined;
    const id = idOf(terms, word);
    if (id !== stopWordId) ids.push(id);
  }
  return ids;
}

const weight = (count: number): number => 1 + Math.log(count);

function addCached(terms: Terms, ids: readonly number[], sums: Float64Array): void {
  for (const id of ids) terms.count[id] = (terms.count[id] ?? 0) + 1;
  for (const id of ids) {
    const count = terms.count[id] ?? 0;
    // 0: an earlier occurrence of the same stem has added its weight.
    if (count === 0) continue;
    const index = terms.index[id] ?? 0;
    sums[index] = (sums[index] ?? 0) + (terms.sign[id] ?? 1) * weight(count);
    terms.count[id] = 0;
  }
}

function addPlain(stems: readonly string[], sums: Float64Array): void {
  const counts = new Map<string, number>();
  for (const stem of stems) counts.set(stem, (counts.get(stem) ?? 0) + 1);
  for (const [stem, count] of counts) {
    const hash = fnv1a32(stem);
    const index = (hash & 0x7fffffff) % hash384Dims;
    sums[index] = (sums[index] ?? 0) + (hash >>> 31 === 1 ? 1 : -1) * weight(count);
  }
}

/** Where both paths add up; cleared at the start of each text. */
const sums = new Float64Array(hash384Dims);

/**
 * Embeds one text into `out[offset … offset + 383]` by `hash-384` v1: lower-case words without stop words (all words
 * where only stop words are there), Porter stems, `1 + ln tf` each, placed by FNV-1a 32 of the stem at
 * `(h & 0x7fffffff) % 384` with `+` where bit 31 is set, else `−`; L2-normalised. Feature hashing: Weinberger et al.,
 * ICML 2009. False, and `out` untouched, where the text has no word (or its terms cancel out).
 */
export function hash384Into(text: string, out: Float32Array, offset: number): boolean {
  if (cache === undefined || cache.ids.size > maxWords - 2_000) cache = emptyTerms();
  const found = words(text);
  sums.fill(0);
  // More words than the cache may still take: such a text is embedded without it.
  const ids = found.length <= 2_000 ? idsOf(cache, found) : undefined;
  if (ids !== undefined && ids.length > 0) {
    addCached(cache, ids, sums);
  } else {
    const kept = found.filter((word) => !stopWords.has(word));
    addPlain((kept.length > 0 ? kept : found).map(porterStem), sums);
  }
  let square = 0;
  for (const sum of sums) square += sum * sum;
  if (square === 0) return false;
  const scale = 1 / Math.sqrt(square);
  for (let at = 0; at < hash384Dims; at++) out[offset + at] = (sums[at] ?? 0) * scale;
  return true;
}

/** {@link hash384Into} into a vector of its own; undefined where the text has no word. */
export function hash384(text: string): Float32Array | undefined {
  const vector = new Float32Array(hash384Dims);
  return hash384Into(text, vector, 0) ? vector : undefined;
}
