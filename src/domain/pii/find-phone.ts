import { hasNationalFormat, isNorthAmerican, readInternational } from './read-international.js';
import type { Cluster, Window } from './read-cluster.js';
import { windowOf } from './read-cluster.js';
import type { Scan } from './scan.js';
import {
  endsToken,
  hasContext,
  isDigit,
  isLetter,
  report,
  startsToken,
  wordBefore,
} from './scan.js';

const CONTEXT =
  /(?:^|[^a-z0-9])(?:phones?|telephone|tel|mobile|cell(?=[ \t]*(?:phone|number|no\b|is\b|[:#]))|cellphone|fax|call|calling|called|dial|dialling|ring|sms|text me|texts?|whatsapp|voicemail|messages?|office|desk|hotline|answering|contact|reach(?: me| us)?|telefon|téléphone|teléfono|handy|mobil)(?![a-z0-9_])/i;
const OTHER_NUMBER =
  /(?:^|[^a-z0-9])(?:isbn|issn|doi|pmid|zip|postcode|postal code|invoice|order|version|accession|licen[cs]e|passport|ssn|card|account|iban|vol|pp|pages?)(?![a-z])[^a-z0-9]{0,3}(?:no\.?|number|code|#|is)?[^a-z0-9]{0,3}$/i;
const EXTENSION = /\s?(?:x|ext\.?|extension)\s?\d{1,6}(?![\p{L}\p{N}_])/iuy;
const DATE =
  /^(?:(?:19|20)\d\d-\d\d?-\d\d?|\d\d?-\d\d?-(?:19|20)\d\d|(?:19|20)\d\d-(?:19|20)\d\d)$/;
const MAX_DIGITS = 18;
const MIN_DIGITS = 7;

interface PhoneSpan {
  start: number;
  end: number;
  /** What stood before the digits: `+`, `(` or nothing. */
  lead: '' | '+' | '(';
}

function spanOf(text: string, window: Window): PhoneSpan {
  let { start } = window;
  let lead: PhoneSpan['lead'] = '';
  if (text.charAt(start - 1) === '(') {
    lead = '(';
    start--;
    if (text.charAt(start - 1) === '+') {
      lead = '+';
      start--;
    }
  } else if (text.charAt(start - 1) === '+') {
    lead = '+';
    start--;
    if (text.charAt(start - 1) === '(') start--;
  }
  EXTENSION.lastIndex = window.end;
  const extension = EXTENSION.exec(text);
  return { start, end: window.end + (extension?.[0].length ?? 0), lead };
}

/** Whether the token on the other side of a hyphen, full stop or slash mixes letters and digits, as in a UUID. */
function joinsMixedToken(scan: Scan, at: number, step: 1 | -1): boolean {
  const { text } = scan;
  const joint = text.charAt(step === 1 ? at : at - 1);
  if (joint !== '-' && joint !== '.' && joint !== '/') return false;
  let letters = false;
  let digits = false;
  for (let n = 1; n <= 40; n++) {
    const code = text.charCodeAt(step === 1 ? at + n : at - 1 - n);
    if (isLetter(code)) letters = true;
    else if (isDigit(code)) digits = true;
    else break;
    scan.steps++;
  }
  return digits && letters;
}

/** Whether the groups stand alone: not inside a longer number or token. */
export function standsAlone(scan: Scan, cluster: Cluster, window: Window): boolean {
  const { text } = scan;
  if (!startsToken(text, window.start) || !endsToken(text, window.end)) return false;
  if (joinsMixedToken(scan, window.start, -1) || joinsMixedToken(scan, window.end, 1)) return false;
  const joints = [cluster.between[window.first - 1], cluster.between[window.last]];
  if (
    joints.some(
      (joint) =>
        joint === '.' || (joint !== undefined && joint === window.separator && joint !== ' '),
    )
  )
    return false;
  const before = text.charCodeAt(window.start - 1);
  // A decimal comma or point: the number is a fraction.
  return !((before === 44 || before === 46) && isDigit(text.charCodeAt(window.start - 2)));
}

function scoreInternational(digits: string, window: Window): number {
  if (readInternational(digits)) return window.separator === '' ? 0.8 : 0.9;
  return 0.3;
}

/** What a window is worth as a phone number, without context. */
function judge(window: Window, lead: PhoneSpan['lead'], dashed: string): [number, boolean] {
  const { digits } = window;
  if (lead === '+') {
    const score = scoreInternational(digits, window);
    return [score, score > 0.5];
  }
  if (digits.startsWith('00') && window.first !== window.last) {
    const score = scoreInternational(digits.slice(2), window);
    if (score > 0.5) return [score, true];
  }
  const north = digits.length === 11 && /^1-/.test(dashed) ? digits.slice(1) : digits;
  if (/^(?:1-)?3-3-4$|^3-7$/.test(window.shape) && north.length === 10) {
    if (isNorthAmerican(north)) return window.separator === ' ' ? [0.55, false] : [0.75, true];
    return [/^[2-9]/.test(north) && window.separator !== ' ' ? 0.5 : 0.3, false];
  }
  if (hasNationalFormat(dashed)) return [0.6, false];
  if (
    /^0[1-9]/.test(digits) &&
    window.first !== window.last &&
    digits.length >= 9 &&
    digits.length <= 11
  )
    return [(dashed.split('-')[0]?.length ?? 0) > 2 ? 0.5 : 0.4, false];
  if (lead === '(' && digits.length >= 8 && digits.length <= 12 && !/^(?:19|20)\d\d-/.test(dashed))
    return [0.4, false];
  return [digits.length <= 12 ? 0.3 : 0, false];
}

function tryPhone(scan: Scan, cluster: Cluster, window: Window): boolean {
  const { text } = scan;
  const span = spanOf(text, window);
  const { digits } = window;
  scan.steps += digits.length;
  if (digits.length < MIN_DIGITS || digits.length > MAX_DIGITS) return false;
  if (span.lead === '+' ? wordBefore(text, span.start) : !startsToken(text, span.start))
    return false;
  const alone =
    span.end > window.end ? startsToken(text, window.start) : standsAlone(scan, cluster, window);
  if (!alone) return false;
  const dashed = text.slice(window.start, window.end).replace(/[^0-9]+/g, '-');
  if (DATE.test(dashed)) return false;
  const [base, validated] = judge(window, span.lead, dashed);
  if (base === 0) return false;
  let score = base;
  if (hasContext(scan, span, CONTEXT)) score += 0.35;
  if (OTHER_NUMBER.test(text.slice(Math.max(0, span.start - 32), span.start))) score -= 0.3;
  // `PD-0332991` is an identifier.
  if (!validated && /[\p{L}\p{N}]-$/u.test(text.slice(Math.max(0, span.start - 2), span.start)))
    score -= 0.3;
  report(scan, { kind: 'PHONE', start: span.start, end: span.end, score, validated });
  return validated;
}

const startsStrongly = (text: string, cluster: Cluster, k: number): boolean => {
  const start = cluster.starts[k] ?? 0;
  const before = text.charCodeAt(start - 1);
  const length = (cluster.ends[k] ?? 0) - start;
  return before === 43 || before === 40 || length === 3 || text.startsWith('00', start);
};

/**
 * Finds phone numbers in a cluster: the whole of it where that is one, else groups of it that a numbering plan confirms
 * (international, North American). Every other shape counts only beside a word such as `phone`.
 */
export function findPhones(scan: Scan, cluster: Cluster): void {
  const { text } = scan;
  const count = cluster.starts.length;
  if (count <= 8 && tryPhone(scan, cluster, windowOf(text, cluster, [0, count - 1]))) return;
  if (count === 1) return;
  for (let first = 0; first < count; first++) {
    if (!startsStrongly(text, cluster, first)) continue;
    // Longest first: an international number has at most eight groups.
    for (let last = Math.min(count - 1, first + 6); last > first; last--) {
      if (first === 0 && last === count - 1) continue;
      const window = windowOf(text, cluster, [first, last]);
      const { lead } = spanOf(text, window);
      const strong =
        lead === '+' ||
        window.digits.startsWith('00') ||
        (/^(?:1-)?3-3-4$/.test(window.shape) && window.separator !== ' ');
      scan.steps += window.digits.length;
      if (strong && tryPhone(scan, cluster, window)) {
        first = last;
        break;
      }
    }
  }
}
