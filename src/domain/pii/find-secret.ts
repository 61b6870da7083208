import type { Scan } from './scan.js';
import { isAlphanumeric, report } from './scan.js';

const MAX_TOKEN = 512;
const MIN_TOKEN = 16;

/**
 * Tokens whose issuers gave them a recognisable form. Every quantifier is bounded or followed by a character outside its
 * class, so each is linear.
 */
const TOKENS = new RegExp(
  [
    'anneal_[a-z]{1,20}_[0-9A-Z]{26}_[a-z2-7]{52}(?:_[a-z2-7]{6})?',
    '(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}',
    'gh[opsru]_[A-Za-z0-9]{36,251}',
    'github_pat_[A-Za-z0-9_]{60,120}',
    'glpat-[A-Za-z0-9_-]{20,60}',
    'xox[abeoprs]-[A-Za-z0-9-]{10,250}',
    'xapp-[A-Za-z0-9-]{20,250}',
    'sk-[A-Za-z0-9_-]{20,250}',
    '[rs]k_(?:live|test)_[A-Za-z0-9]{16,250}',
    'whsec_[A-Za-z0-9+/]{24,100}',
    'AIza[A-Za-z0-9_-]{35}',
    'ya29\\.[A-Za-z0-9_-]{20,400}',
    'hf_[A-Za-z0-9]{30,60}',
    'npm_[A-Za-z0-9]{36}',
    'pypi-[A-Za-z0-9_-]{50,400}',
    'dop_v1_[0-9a-f]{64}',
    'shpat_[0-9a-fA-F]{32}',
    'SG\\.[A-Za-z0-9_-]{16,40}\\.[A-Za-z0-9_-]{30,60}',
    'eyJ[A-Za-z0-9_-]{8,2000}\\.eyJ[A-Za-z0-9_-]{8,4000}\\.[A-Za-z0-9_-]{0,1000}',
  ]
    .map((form) => `(?:${form})`)
    .join('|'),
  'y',
);
const BEARER = /(?:^|[^A-Za-z0-9])(?:bearer|basic)\s{1,3}$/i;
const BEARER_VALUE = /[A-Za-z0-9_.~+/-]{16,1000}={0,2}/y;

const isToken = (code: number): boolean =>
  isAlphanumeric(code) || code === 95 || code === 45 || code === 46;

/**
 * Finds the token of a known issuer, or a bearer value, around the digit at `at`; answers up to where the text has been
 * read, so that a token is looked at once. `from` is where the last one ended.
 */
export function findToken(scan: Scan, at: number, from: number): number {
  const { text } = scan;
  let start = at;
  while (start > from && at - start < MAX_TOKEN && isToken(text.charCodeAt(start - 1))) start--;
  let end = at;
  while (end - at < MAX_TOKEN && isToken(text.charCodeAt(end))) end++;
  scan.steps += end - start;
  if (end - start < MIN_TOKEN) return end;
  let match: RegExpExecArray | null = null;
  for (const first of new Set([start, start + text.slice(start, at).lastIndexOf('.') + 1])) {
    if (first < start || isAlphanumeric(text.charCodeAt(first - 1))) continue;
    TOKENS.lastIndex = first;
    match = TOKENS.exec(text);
    if (match) break;
  }
  let score = 1;
  if (!match && BEARER.test(text.slice(Math.max(0, start - 12), start))) {
    BEARER_VALUE.lastIndex = start;
    match = BEARER_VALUE.exec(text);
    score = 0.8;
  }
  if (!match) return end;
  const last = match.index + match[0].length;
  scan.steps += match[0].length;
  if (isAlphanumeric(text.charCodeAt(last))) return Math.max(end, last);
  report(scan, { kind: 'SECRET', start: match.index, end: last, score, validated: score === 1 });
  return Math.max(end, last);
}

const KEYWORD =
  /(?:password|passwd|passphrase|pwd|secret|api[_-]?key|(?:access|secret|private)[_-]?key|(?:access|auth|refresh|api|session)[_-]?token|account[_-]?key)["'\]]{0,2}\s{0,2}$/i;
const VALUE = /[=>]?\s{0,3}(["'`]?)([^\s"'`,;&<>()[\]{}]{8,200})/y;

/** Whether a word looks chosen by a machine or for a password: two of letters, digits and signs, digits among them. */
const looksSecret = (value: string): boolean =>
  /\d/.test(value) && /[a-z]/i.test(value) && !/^[a-z]{1,20}_[a-z2-7]{10}$/i.test(value);

/** Finds the value that is assigned by the `=` or `:` at `at` to a name such as `password` or `api_key`. */
export function findAssignment(scan: Scan, at: number): void {
  const { text } = scan;
  scan.steps += 24;
  if (!KEYWORD.test(text.slice(Math.max(0, at - 24), at))) return;
  VALUE.lastIndex = at + 1;
  const match = VALUE.exec(text);
  const value = match?.[2];
  if (!match || value === undefined) return;
  scan.steps += match[0].length;
  const end = match.index + match[0].length;
  const trimmed = value.replace(/[.!?:]{1,3}$/, '');
  if (trimmed.length < 8 || !looksSecret(trimmed)) return;
  const start = end - value.length;
  report(scan, {
    kind: 'SECRET',
    start,
    end: start + trimmed.length,
    score: 0.75,
    validated: false,
  });
}

const PRIVATE_KEY =
  /-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----(?:\s{1,4}(?:Proc-Type|DEK-Info):[^\n]{0,200}){0,3}[A-Za-z0-9+/=\s:,.\\]{0,20000}(?:-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----)?/y;
const BEGIN = '-----BEGIN ';

/** Finds private keys in PEM form, cut off ones too. */
export function findPrivateKeys(scan: Scan): void {
  const { text } = scan;
  let at = text.indexOf(BEGIN);
  while (at !== -1) {
    PRIVATE_KEY.lastIndex = at;
    const match = PRIVATE_KEY.exec(text);
    const value = match?.[0].trimEnd() ?? '';
    scan.steps += value.length + BEGIN.length;
    if (match)
      report(scan, {
        kind: 'SECRET',
        start: at,
        end: at + value.length,
        score: 1,
        validated: true,
      });
    at = text.indexOf(BEGIN, at + Math.max(value.length, BEGIN.length));
  }
}
