import type { Finding } from './contract.js';

/** One pass over one text: what has been found, and how many characters were looked at. */
export interface Scan {
  /** Folded: digits, hyphens and spaces of other scripts are ASCII, offsets unchanged. */
  readonly text: string;
  /** Name of the field that the text stands in, lower case; empty where there is none. */
  readonly fieldName: string;
  readonly found: Finding[];
  steps: number;
}

const WORD = /[\p{L}\p{N}\p{M}]/u;
// These scripts put no space between words, so a number may follow a letter directly.
const UNSPACED =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}]/u;
const LOW_LINE = 95;

export const isDigit = (code: number): boolean => code >= 48 && code <= 57;
export const isLetter = (code: number): boolean =>
  (code >= 97 && code <= 122) || (code >= 65 && code <= 90);
export const isAlphanumeric = (code: number): boolean => isDigit(code) || isLetter(code);

function isWordPoint(point: number | undefined): boolean {
  if (point === undefined || Number.isNaN(point)) return false;
  if (point < 128) return isAlphanumeric(point);
  const char = String.fromCodePoint(point);
  return WORD.test(char) && !UNSPACED.test(char);
}

const pointBefore = (text: string, at: number): number | undefined => {
  if (at <= 0) return undefined;
  const code = text.charCodeAt(at - 1);
  if (code >= 0xdc00 && code <= 0xdfff && at > 1) {
    const pair = text.codePointAt(at - 2);
    if (pair !== undefined && pair > 0xffff) return pair;
  }
  return code;
};

/** Whether the character that ends at `at` belongs to a word of letters and digits. */
export const wordBefore = (text: string, at: number): boolean => isWordPoint(pointBefore(text, at));

/** Whether the character that starts at `at` belongs to a word of letters and digits. */
export const wordAt = (text: string, at: number): boolean => isWordPoint(text.codePointAt(at));

/** Whether a token may start at `at`: no word character and no low line inside a word stands before it. */
export function startsToken(text: string, at: number): boolean {
  if (text.charCodeAt(at - 1) === LOW_LINE) {
    const before = text.charCodeAt(at - 2);
    return before !== LOW_LINE && !wordBefore(text, at - 1);
  }
  return !wordBefore(text, at);
}

/** Whether a token may end at `at`. */
export function endsToken(text: string, at: number): boolean {
  if (text.charCodeAt(at) === LOW_LINE) {
    return text.charCodeAt(at + 1) !== LOW_LINE && !wordAt(text, at + 1);
  }
  return !wordAt(text, at);
}

const BEFORE = 56;
const AFTER = 16;

/**
 * Whether a word of the pattern stands shortly before the span, directly after it, or in the name of the field. Costs
 * at most 72 characters and the field name.
 */
export function hasContext(
  scan: Scan,
  span: { start: number; end: number },
  words: RegExp,
): boolean {
  scan.steps += BEFORE + AFTER;
  const { text } = scan;
  return (
    words.test(text.slice(Math.max(0, span.start - BEFORE), span.start)) ||
    words.test(text.slice(span.end, span.end + AFTER)) ||
    (scan.fieldName !== '' && words.test(scan.fieldName))
  );
}

/** Adds a finding; its score is limited to 0–1. */
export function report(scan: Scan, finding: Finding): void {
  scan.found.push({ ...finding, score: Math.min(1, Math.max(0, finding.score)) });
}
