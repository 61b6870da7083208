import {
  isCardNumber,
  isUsTaxNumber,
  passesGtin,
  passesNhs,
  passesPesel,
  passesVerhoeff,
} from './is-card-number.js';
import { findPhones, standsAlone } from './find-phone.js';
import type { Cluster, Window } from './read-cluster.js';
import { windowOf } from './read-cluster.js';
import type { Scan } from './scan.js';
import { endsToken, hasContext, report, startsToken } from './scan.js';

const words = (list: string): RegExp => new RegExp(`(?:^|[^a-z0-9])(?:${list})(?![a-z0-9_])`, 'i');
const CARD = words('cards?|credit|debit|cc|visa|mastercard|amex|maestro|pan|payment');
const SSN = words('ssn|ss#|social security|social|tin|itin|tax ?id|taxpayer');
const NHS = words('nhs|national health|patient|health service');
const PESEL = words('pesel|polish|poland|identity|dowód');
const AADHAAR = words('aadhaar|aadhar|adhaar|uidai|uid');
const IP = words(
  'ip|ipv4|address|addr|host|server|client|dns|gateway|subnet|client_ip|remote_addr',
);
const VERSION = words('version|release|firmware|build|section|chapter|v|ec|oid');

const CARD_SHAPE = /^(?:\d\d|4-4-4-[1-4](?:-[1-3])?|4-6-[45]|4-5-6|4-4-5|6-1[03])$/;
const MAX_CARD_GROUPS = 5;

interface Rule {
  kind: string;
  /** Shapes, lengths of the groups joined by `-`. */
  shape: RegExp;
  passes: (digits: string) => boolean;
  context: RegExp;
  /** Score without context; below 0.5 the shape alone is not enough. */
  score: (window: Window) => number;
}

/** A check digit alone lets one number in ten through: then the bare form needs a word nearby, the grouped one does not. */
const RULES: readonly Rule[] = [
  {
    kind: 'CARD',
    shape: CARD_SHAPE,
    passes: isCardNumber,
    context: CARD,
    // Product numbers have the lengths of the shortest cards.
    score: ({ digits }) => (digits.length < 14 && passesGtin(digits) ? 0.4 : 0.8),
  },
  {
    kind: 'SSN',
    shape: /^(?:3-2-4|9)$/,
    passes: isUsTaxNumber,
    context: SSN,
    score: ({ separator }) => (separator === '-' ? 0.8 : 0.3),
  },
  {
    kind: 'NHS',
    shape: /^(?:3-3-4|10)$/,
    passes: passesNhs,
    context: NHS,
    score: ({ separator }) => (separator === ' ' ? 0.5 : 0.3),
  },
  { kind: 'PESEL', shape: /^11$/, passes: passesPesel, context: PESEL, score: () => 0.6 },
  {
    kind: 'AADHAAR',
    shape: /^(?:4-4-4|12)$/,
    passes: (digits) => digits.charCodeAt(0) > 49 && passesVerhoeff(digits),
    context: AADHAAR,
    score: ({ separator }) => (separator === '' ? 0.3 : 0.6),
  },
];

function tryRules(scan: Scan, cluster: Cluster, window: Window): void {
  if (window.separator === undefined || !['', ' ', '-', '.'].includes(window.separator)) return;
  scan.steps += window.digits.length;
  for (const rule of RULES) {
    if (!rule.shape.test(window.shape) || !rule.passes(window.digits)) continue;
    if (!standsAlone(scan, cluster, window)) return;
    const base = rule.score(window);
    const near = hasContext(scan, window, rule.context);
    const { start, end } = window;
    const validated = base >= 0.5 || near;
    if (validated)
      report(scan, { kind: rule.kind, start, end, score: base + (near ? 0.4 : 0), validated });
  }
}

function tryIpv4(scan: Scan, cluster: Cluster, window: Window): void {
  const { text } = scan;
  if (window.separator !== '.' || !startsToken(text, window.start) || !endsToken(text, window.end))
    return;
  if (cluster.between[window.first - 1] === '.' || cluster.between[window.last] === '.') return;
  if (text.charAt(window.start - 1) === '.') return;
  const octets = text.slice(window.start, window.end).split('.');
  if (octets.some((octet) => Number(octet) > 255 || (octet.length > 1 && octet.startsWith('0'))))
    return;
  const { start, end } = window;
  const near = hasContext(scan, window, IP);
  const version = VERSION.test(text.slice(Math.max(0, start - 12), start));
  // Four single digits are as often a section or a version as an address.
  const plain = octets.every((octet) => octet.length === 1) || version;
  if (plain && !near) return;
  report(scan, { kind: 'IP', start, end, score: near ? 1 : 0.7, validated: true });
}

/** Finds card, identity, phone and IPv4 numbers in one cluster of digits. */
export function findNumbers(scan: Scan, cluster: Cluster): void {
  const count = cluster.starts.length;
  const length = (cluster.ends[count - 1] ?? 0) - (cluster.starts[0] ?? 0);
  if (length < 7) return;
  for (let first = 0; first < count; first++) {
    let digits = 0;
    for (let last = first; last < Math.min(count, first + MAX_CARD_GROUPS); last++) {
      digits += (cluster.ends[last] ?? 0) - (cluster.starts[last] ?? 0);
      if (digits > 19) break;
      const groups = last - first + 1;
      if (digits < 9 && groups !== 4) continue;
      const window = windowOf(scan.text, cluster, [first, last]);
      if (groups === 4) tryIpv4(scan, cluster, window);
      if (digits >= 9) tryRules(scan, cluster, window);
    }
  }
  findPhones(scan, cluster);
}
