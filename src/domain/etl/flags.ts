import type { GateEvidence } from './gates.js';

/** What is noted on a document and stops nothing. */
type FlagKind = 'near_duplicate' | 'suspect_instruction' | 'script_mismatch' | 'ragged_rows';

export interface Flag {
  flag: FlagKind;
  evidence: GateEvidence;
}

/** Number of differing bits of two simhashes (0–64). */
export function simhashDistance(a: bigint, b: bigint): number {
  let bits = BigInt.asUintN(64, a ^ b);
  let count = 0;
  for (; bits !== 0n; bits &= bits - 1n) count++;
  return count;
}

// Text that talks to the model which will read it. It stays searchable: a flag is for people and for the prompt that
// quotes it. Each pattern is anchored on a word and has bounded gaps, so that it stays linear.
const INSTRUCTIONS: readonly RegExp[] = [
  /\b(?:ignore|disregard|forget|override)\b[^.\n]{0,40}\b(?:previous|prior|above|earlier|all|any)\b[^.\n]{0,40}\b(?:instructions?|prompts?|rules|context|messages?)\b/i,
  /\byou are now\b[^.\n]{0,40}\b(?:assistant|model|ai|dan|jailbroken|unrestricted)\b/i,
  /\b(?:reveal|print|repeat|show|output)\b[^.\n]{0,40}\b(?:system prompt|hidden prompt|initial instructions|your instructions)\b/i,
  /<\|(?:im_start|im_end|system|assistant|user|endoftext)\|>|\[\/?INST\]|<<SYS>>/i,
  /\b(?:do not|don't|never)\b[^.\n]{0,30}\b(?:tell|inform|mention to)\b[^.\n]{0,20}\bthe user\b/i,
];

/** Flags text that reads like an instruction to a model; the evidence holds the offset and the rule, never the text. */
export function suspectInstruction(text: string): Flag | undefined {
  for (const [rule, pattern] of INSTRUCTIONS.entries()) {
    const at = text.search(pattern);
    if (at >= 0) return { flag: 'suspect_instruction', evidence: { rule, at } };
  }
  return undefined;
}

const isLatin = (code: number): boolean =>
  (code >= 0x41 && code <= 0x5a) ||
  (code >= 0x61 && code <= 0x7a) ||
  (code >= 0xc0 && code <= 0x24f);
// Greek letters stand beside Latin ones in every paper (TGFβ1, µm): of them only those that look Latin count.
const GREEK_LOOKALIKES: ReadonlySet<number> = new Set(
  [...'ΑΒΕΖΗΙΚΜΝΟΡΤΥΧο'].map((letter) => letter.charCodeAt(0)),
);
const isLookalike = (code: number): boolean =>
  (code >= 0x400 && code <= 0x52f) || GREEK_LOOKALIKES.has(code);
const mixes = (a: number, b: number): boolean =>
  (isLatin(a) && isLookalike(b)) || (isLookalike(a) && isLatin(b));
const HAS_LOOKALIKES = /[\u0370-\u052f]/;
const MIN_MIXED = 3;

/**
 * Flags words that mix Latin with letters that look Latin (at least 3 such places): look-alikes hide words from
 * search and from detectors.
 */
export function scriptMismatch(text: string): Flag | undefined {
  if (!HAS_LOOKALIKES.test(text)) return undefined;
  let places = 0;
  let first = -1;
  for (let at = 1; at < text.length; at++) {
    if (!mixes(text.charCodeAt(at - 1), text.charCodeAt(at))) continue;
    if (places === 0) first = at;
    places++;
  }
  return places >= MIN_MIXED
    ? { flag: 'script_mismatch', evidence: { places, at: first } }
    : undefined;
}
