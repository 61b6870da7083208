import type { PiiPolicy } from './contract.js';
import { findEmail, findUrlUserinfo } from './find-email.js';
import { findIban } from './find-iban.js';
import { findIpv6 } from './find-ipv6.js';
import { findNumbers } from './find-numbers.js';
import { findAssignment, findPrivateKeys, findToken } from './find-secret.js';
import { findTenantPatterns } from './find-tenant-patterns.js';
import { readCluster } from './read-cluster.js';
import type { Scan } from './scan.js';
import { isLetter } from './scan.js';

const NOTHING = 0;
const DIGIT = 1;
const AT = 2;
const COLON = 3;
const EQUALS = 4;

/** What each ASCII character may be part of: most characters of prose start nothing. */
const TRIGGERS = new Uint8Array(128);
TRIGGERS.fill(DIGIT, 48, 58);
TRIGGERS[64] = AT;
TRIGGERS[58] = COLON;
TRIGGERS[61] = EQUALS;

const HYPHEN = 45;
const LOW_LINE = 95;
const joinsToken = (code: number): boolean =>
  isLetter(code) || code === HYPHEN || code === LOW_LINE;

const FOLDED =
  /[\u00a0\u2000-\u200a\u202f\u205f\u3000\u2010-\u2015\u2212\uff0b-\uff20\u0660-\u0669\u06f0-\u06f9\u0966-\u096f]/g;

function foldCharacter(char: string): string {
  const code = char.charCodeAt(0);
  if (code >= 0xff0b && code <= 0xff20) return String.fromCharCode(code - 0xfee0);
  if (code >= 0x0660 && code <= 0x0669) return String.fromCharCode(code - 0x0660 + 48);
  if (code >= 0x06f0 && code <= 0x06f9) return String.fromCharCode(code - 0x06f0 + 48);
  if (code >= 0x0966 && code <= 0x096f) return String.fromCharCode(code - 0x0966 + 48);
  return (code >= 0x2010 && code <= 0x2015) || code === 0x2212 ? '-' : ' ';
}

/** Digits, hyphens, spaces and the `@` of other scripts as ASCII; every offset stays what it was. */
export const foldText = (text: string): string => text.replace(FOLDED, foldCharacter);

/** Everything the detectors see in a text, overlaps and weak findings included. */
export function scanText(text: string, policy: PiiPolicy, fieldName: string): Scan {
  const folded = foldText(text);
  const scan: Scan = {
    text: folded,
    fieldName: fieldName.toLowerCase(),
    found: [],
    steps: folded.length,
  };
  let tokenEnd = 0;
  let ipEnd = 0;
  for (let i = 0; i < folded.length; i++) {
    const code = folded.charCodeAt(i);
    const trigger = code < 128 ? TRIGGERS[code] : NOTHING;
    if (trigger === NOTHING) continue;
    if (trigger === DIGIT) {
      const before = folded.charCodeAt(i - 1);
      if (joinsToken(before)) {
        if (i >= tokenEnd) tokenEnd = findToken(scan, i, tokenEnd);
        if (isLetter(before)) findIban(scan, i);
      } else if (i >= tokenEnd && before <= 32 && isLetter(folded.charCodeAt(i + 1))) {
        tokenEnd = findToken(scan, i, tokenEnd);
      }
      const cluster = readCluster(scan, i);
      findNumbers(scan, cluster);
      i = (cluster.ends.at(-1) ?? i + 1) - 1;
    } else if (trigger === AT) {
      findEmail(scan, i);
      findUrlUserinfo(scan, i);
    } else {
      findAssignment(scan, i);
      if (trigger === COLON && i >= ipEnd && folded.charCodeAt(i + 1) > 32)
        ipEnd = findIpv6(scan, i);
    }
  }
  findPrivateKeys(scan);
  findTenantPatterns(scan, policy);
  return scan;
}
