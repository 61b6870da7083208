import type { Scan } from './scan.js';
import { endsToken, hasContext, isDigit, report, startsToken } from './scan.js';

const CONTEXT =
  /(?:^|[^a-z0-9])(?:ip|ipv6|address|addr|host|server|client|dns|gateway|subnet)(?![a-z0-9_])/i;
const MAX_LENGTH = 45;

const isHex = (code: number): boolean =>
  isDigit(code) || (code >= 97 && code <= 102) || (code >= 65 && code <= 70);
const isPart = (code: number): boolean => isHex(code) || code === 58;

const groupsOf = (text: string): string[] | undefined => {
  if (text === '') return [];
  const groups = text.split(':');
  return groups.every((group) => group.length >= 1 && group.length <= 4) ? groups : undefined;
};

/** The eight groups of an IPv6 address (RFC 4291) without leading zeros, or undefined. */
export function readIpv6(text: string): string[] | undefined {
  const halves = text.split('::');
  if (halves.length > 2) return undefined;
  const head = groupsOf(halves[0] ?? '');
  const tail = halves.length === 2 ? groupsOf(halves[1] ?? '') : [];
  if (!head || !tail) return undefined;
  const missing = 8 - head.length - tail.length;
  if (halves.length === 2 ? missing < 1 : missing !== 0) return undefined;
  const groups = [...head, ...Array.from({ length: missing }, () => '0'), ...tail];
  return groups.map((group) => group.toLowerCase().replace(/^0+(?=.)/, ''));
}

/** Finds the IPv6 address around the colon at `at`; answers where the token ends, so that it is read once. */
export function findIpv6(scan: Scan, at: number): number {
  const { text } = scan;
  let start = at;
  while (start > 0 && at - start <= MAX_LENGTH && isPart(text.charCodeAt(start - 1))) start--;
  let end = at + 1;
  while (end - at <= MAX_LENGTH && isPart(text.charCodeAt(end))) end++;
  scan.steps += end - start;
  const token = end;
  // "2001:db8::1:" at the end of a clause: the last colon is punctuation.
  if (text.charAt(end - 1) === ':' && text.charAt(end - 2) !== ':') end--;
  if (!startsToken(text, start) || !endsToken(text, end)) return token;
  const value = text.slice(start, end);
  if (!readIpv6(value)) return token;
  const span = { start, end };
  const near = hasContext(scan, span, CONTEXT);
  const digits = value.replaceAll(':', '');
  // `a::b` and `::1` are as often code as an address.
  if (!near && (digits.length < 5 || !/\d/.test(digits))) return token;
  report(scan, { kind: 'IP', ...span, score: near ? 1 : 0.8, validated: true });
  return token;
}
