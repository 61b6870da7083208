import type { Scan } from './scan.js';
import { endsToken, isAlphanumeric, report, wordAt, wordBefore } from './scan.js';

const LOCAL = /[.!#$%&'*+\-?^_`{|}~]/;
const MAX_LOCAL = 64;
const MAX_DOMAIN = 253;
const LABEL = /^[\p{L}\p{N}\p{M}](?:[\p{L}\p{N}\p{M}-]{0,61}[\p{L}\p{N}\p{M}])?$/u;
const TOP_LEVEL = /^(?:xn--[a-z0-9-]{2,59}|[\p{L}\p{M}]{2,24})$/iu;

const isLocal = (text: string, at: number): boolean =>
  isAlphanumeric(text.charCodeAt(at)) || wordAt(text, at) || LOCAL.test(text.charAt(at));

function startOfLocal(scan: Scan, at: number): number {
  const { text } = scan;
  let start = at;
  while (
    start > 0 &&
    at - start <= MAX_LOCAL &&
    (isLocal(text, start - 1) || wordBefore(text, start))
  )
    start--;
  scan.steps += at - start;
  if (at - start > MAX_LOCAL) return at;
  // Quotes, emphasis and list marks around an address are no part of it.
  while (start < at && !wordAt(text, start)) start++;
  return text.charAt(at - 1) === '.' ? at : start;
}

function endOfDomain(scan: Scan, at: number): number {
  const { text } = scan;
  let end = at + 1;
  while (end - at <= MAX_DOMAIN) {
    const code = text.charCodeAt(end);
    if (!(isAlphanumeric(code) || code === 45 || code === 46 || wordAt(text, end))) break;
    end++;
  }
  scan.steps += end - at;
  while (end > at + 1 && !wordBefore(text, end)) end--;
  return end;
}

/** Finds the e-mail address around the `@` at `at`: local part of at most 64 characters, a domain with a top level. */
export function findEmail(scan: Scan, at: number): void {
  const { text } = scan;
  const start = startOfLocal(scan, at);
  if (start === at) return;
  let end = endOfDomain(scan, at);
  if (end - at > MAX_DOMAIN) return;
  const labels = text.slice(at + 1, end).split('.');
  // "mail me at a@b.com.Then": a sentence that starts without a space is no label, but the address stays one.
  if (labels.length < 2 || !labels.every((label) => LABEL.test(label))) return;
  while (labels.length > 1 && !TOP_LEVEL.test(labels.at(-1) ?? '')) {
    const dropped = labels.pop() ?? '';
    if (labels.length < 2) return;
    end -= dropped.length + 1;
  }
  if (!endsToken(text, end) && text.charAt(end) !== '_') return;
  report(scan, { kind: 'EMAIL', start, end, score: 1, validated: true });
}

const NOT_USERINFO = /[\s/?#"'<>@\\]/;
const SCHEME = /[a-z][a-z0-9+.-]{1,15}$/i;
const MAX_USERINFO = 256;

/**
 * Finds the URL whose userinfo ends at the `@` at `at`. The span is scheme, userinfo, host and port: what follows, the
 * path and the query, stays readable.
 */
export function findUrlUserinfo(scan: Scan, at: number): void {
  const { text } = scan;
  let from = at;
  while (from > 0 && at - from < MAX_USERINFO && !NOT_USERINFO.test(text.charAt(from - 1))) from--;
  scan.steps += at - from;
  if (from === at || text.slice(from - 2, from) !== '//' || text.charAt(from - 3) !== ':') return;
  const scheme = SCHEME.exec(text.slice(Math.max(0, from - 19), from - 3));
  if (!scheme) return;
  const start = from - 3 - scheme[0].length;
  let end = at + 1;
  while (end - at <= MAX_DOMAIN && /[\p{L}\p{N}.:[\]-]/u.test(text.charAt(end))) end++;
  scan.steps += end - at;
  while (end > at + 1 && !wordBefore(text, end) && text.charAt(end - 1) !== ']') end--;
  if (end === at + 1 || wordBefore(text, start)) return;
  report(scan, { kind: 'URL_USERINFO', start, end, score: 1, validated: true });
}
