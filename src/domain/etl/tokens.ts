import { porterStem } from './porter-stem.js';
import { stopWords } from './stop-words.js';

const other = 0;
const partOfWord = 1;
const surrogate = 2;

const isLetterOrNumber = /^[\p{L}\p{N}]$/u;

/** Class of each UTF-16 unit; built at first use (a few ms), because a regular expression a character is slow. */
// eslint-disable-next-line no-restricted-syntax -- changes the time a call takes, never its result
let classes: Uint8Array | undefined;
function classTable(): Uint8Array {
  if (classes) return classes;
  classes = new Uint8Array(0x10000);
  for (let unit = 0; unit < 0x10000; unit++) {
    if (unit >= 0xd800 && unit <= 0xdfff) classes[unit] = surrogate;
    else if (isLetterOrNumber.test(String.fromCharCode(unit))) classes[unit] = partOfWord;
  }
  return classes;
}

/** The runs of letters and numbers (`[\p{L}\p{N}]+`) of the lower-cased text, in order. */
export function words(text: string): string[] {
  const table = classTable();
  const lower = text.toLowerCase();
  const found: string[] = [];
  let start = -1;
  let at = 0;
  while (at < lower.length) {
    let kind = table[lower.charCodeAt(at)];
    let width = 1;
    if (kind === surrogate) {
      const point = lower.codePointAt(at) ?? 0;
      width = point > 0xffff ? 2 : 1;
      kind = isLetterOrNumber.test(String.fromCodePoint(point)) ? partOfWord : other;
    }
    if (kind === partOfWord) {
      if (start < 0) start = at;
    } else if (start >= 0) {
      found.push(lower.slice(start, at));
      start = -1;
    }
    at += width;
  }
  if (start >= 0) found.push(lower.slice(start));
  return found;
}

const maxCached = 100_000;
const maxCachedLength = 64;
// eslint-disable-next-line no-restricted-syntax -- changes the time a call takes, never its result
const stems = new Map<string, string>();

/** {@link porterStem} with a bounded cache: a corpus repeats its words. */
function stemOf(word: string): string {
  const known = stems.get(word);
  if (known !== undefined) return known;
  const stem = porterStem(word);
  if (word.length <= maxCachedLength) {
    if (stems.size >= maxCached) stems.clear();
    // A slice keeps the whole text it was cut from alive: the key is a copy.
    stems.set(ownCopy(word), stem === word ? ownCopy(word) : ownCopy(stem));
  }
  return stem;
}

/** The same characters in a string of its own. */
export const ownCopy = (text: string): string => text.split('').join('');

/**
 * The stems that a text is found by, in order and with repetitions: lower-cased words without stop words, stemmed. The
 * one tokeniser of `hash-384`, `lsa` and the lexical comparison. Empty where the text has stop words only.
 */
export function tokens(text: string): string[] {
  const found: string[] = [];
  for (const word of words(text)) if (!stopWords.has(word)) found.push(stemOf(word));
  return found;
}

/** {@link tokens}, or the stems of all words where only stop words are there; empty where the text has no word. */
export function tokensOrStopWords(text: string): string[] {
  const found = tokens(text);
  return found.length > 0 ? found : words(text).map(stemOf);
}
