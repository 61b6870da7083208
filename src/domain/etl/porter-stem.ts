/*
 * The English stemmer of M. F. Porter, "An algorithm for suffix stripping", Program 14(3), 1980, with the three
 * departures of the author's own later implementations: words of one or two letters stay as they are, step 2 has
 * BLI → BLE instead of ABLI → ABLE, and it gains LOGI → LOG. A letter that is not a, e, i, o, u (or y after a
 * consonant) counts as a consonant, so words of other scripts and digits pass through unless they end in an English
 * suffix.
 */

type Suffixes = readonly (readonly [suffix: string, replacement: string])[];

const isConsonant = (word: string, at: number): boolean => {
  const letter = word[at];
  if (letter === 'y') return at === 0 || !isConsonant(word, at - 1);
  return !(letter === 'a' || letter === 'e' || letter === 'i' || letter === 'o' || letter === 'u');
};

/** m of the paper: how often a vowel run is followed by a consonant run. */
function measure(stem: string): number {
  let count = 0;
  let afterVowel = false;
  for (let at = 0; at < stem.length; at++) {
    const consonant = isConsonant(stem, at);
    if (consonant && afterVowel) count++;
    afterVowel = !consonant;
  }
  return count;
}

function hasVowel(stem: string): boolean {
  for (let at = 0; at < stem.length; at++) if (!isConsonant(stem, at)) return true;
  return false;
}

/** *d of the paper. */
const endsInDoubleConsonant = (word: string): boolean =>
  word.length >= 2 && word.at(-1) === word.at(-2) && isConsonant(word, word.length - 1);

/** *o of the paper: consonant, vowel, consonant, the last not w, x or y. */
const endsInShortSyllable = (word: string): boolean => {
  const last = word.length - 1;
  return (
    last >= 2 &&
    isConsonant(word, last) &&
    !isConsonant(word, last - 1) &&
    isConsonant(word, last - 2) &&
    !/[wxy]$/.test(word)
  );
};

const without = (word: string, suffix: string): string => word.slice(0, -suffix.length);

function plural(word: string): string {
  if (word.endsWith('sses') || word.endsWith('ies')) return word.slice(0, -2);
  return word.endsWith('s') && !word.endsWith('ss') ? word.slice(0, -1) : word;
}

function pastOrGerund(word: string): string {
  if (word.endsWith('eed')) return measure(without(word, 'eed')) > 0 ? word.slice(0, -1) : word;
  const suffix = ['ed', 'ing'].find((one) => word.endsWith(one));
  if (suffix === undefined || !hasVowel(without(word, suffix))) return word;
  const stem = without(word, suffix);
  if (/(at|bl|iz)$/.test(stem)) return `${stem}e`;
  if (endsInDoubleConsonant(stem) && !/[lsz]$/.test(stem)) return stem.slice(0, -1);
  return measure(stem) === 1 && endsInShortSyllable(stem) ? `${stem}e` : stem;
}

const finalY = (word: string): string =>
  word.endsWith('y') && hasVowel(without(word, 'y')) ? `${without(word, 'y')}i` : word;

const step2: Suffixes = [
  ['ational', 'ate'],
  ['tional', 'tion'],
  ['enci', 'ence'],
  ['anci', 'ance'],
  ['izer', 'ize'],
  ['bli', 'ble'],
  ['alli', 'al'],
  ['entli', 'ent'],
  ['eli', 'e'],
  ['ousli', 'ous'],
  ['ization', 'ize'],
  ['ation', 'ate'],
  ['ator', 'ate'],
  ['alism', 'al'],
  ['iveness', 'ive'],
  ['fulness', 'ful'],
  ['ousness', 'ous'],
  ['aliti', 'al'],
  ['iviti', 'ive'],
  ['biliti', 'ble'],
  ['logi', 'log'],
];

const step3: Suffixes = [
  ['icate', 'ic'],
  ['ative', ''],
  ['alize', 'al'],
  ['iciti', 'ic'],
  ['ical', 'ic'],
  ['ful', ''],
  ['ness', ''],
];

/** The longest suffix decides, whether or not its condition holds then. */
function replaceSuffix(word: string, suffixes: Suffixes): string {
  const found = suffixes.find(([suffix]) => word.endsWith(suffix));
  if (found === undefined) return word;
  const stem = without(word, found[0]);
  return measure(stem) > 0 ? stem + found[1] : word;
}

const step4 =
  'ement ance ence able ible ment ant ent ion ism ate iti ous ive ize al er ic ou'.split(' ');

function residualSuffix(word: string): string {
  const suffix = step4.find((one) => word.endsWith(one));
  if (suffix === undefined) return word;
  const stem = without(word, suffix);
  if (suffix === 'ion' && !/[st]$/.test(stem)) return word;
  return measure(stem) > 1 ? stem : word;
}

function tidy(word: string): string {
  let tidied = word;
  if (tidied.endsWith('e')) {
    const stem = without(tidied, 'e');
    const m = measure(stem);
    if (m > 1 || (m === 1 && !endsInShortSyllable(stem))) tidied = stem;
  }
  return tidied.endsWith('ll') && measure(tidied.slice(0, -1)) > 1 ? tidied.slice(0, -1) : tidied;
}

/** Stem of one lower-case word; not always a word itself (`durable` → `durabl`). */
export function porterStem(word: string): string {
  if (word.length <= 2) return word;
  const inflected = finalY(pastOrGerund(plural(word)));
  return tidy(residualSuffix(replaceSuffix(replaceSuffix(inflected, step2), step3)));
}
