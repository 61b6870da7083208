import type { PiiPolicy } from './contract.js';
import { findEmail, findUrlUserinfo } from './find-email.js';
import { findIban } from './find-iban.js';
import { findIpv6 } from './find-ipv6.js';
import { findNumbers } from './find-numbers.js';
import { findAssignment, findPrivateKeys, findToken } from './find-secret.js';
import { findTenantPatterns } from './find-tenant-patterns.js';
import { readCluster } from './read-cluster.js';
import type { Scan } from './scan.js';
import { isDigit, isLetter } from './scan.js';

// Most characters of prose start nothing; the regular expression engine skips them several times faster than a loop.
const TRIGGER = /[0-9:=@]/g;
const AT = 64;
const COLON = 58;
const HYPHEN = 45;
const LOW_LINE = 95;

/** Whether the digits at `at` stand inside a word, or begin one after white space (a bearer value may). */
function mayBeToken(text: string, at: number): boolean {
  const before = text.charCodeAt(at - 1);
  if (isLetter(before) || before === HYPHEN || before === LOW_LINE) return true;
  return before <= 32 && isLetter(text.charCodeAt(at + 1));
}

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
  TRIGGER.lastIndex = 0;
  while (TRIGGER.test(folded)) {
    const i = TRIGGER.lastIndex - 1;
    const code = folded.charCodeAt(i);
    if (isDigit(code)) {
      const before = folded.charCodeAt(i - 1);
      if (i >= tokenEnd && mayBeToken(folded, i)) tokenEnd = findToken(scan, i, tokenEnd);
      if (isLetter(before)) findIban(scan, i);
      const cluster = readCluster(scan, i);
      if (cluster.starts.length > 1 || cluster.end - i >= 7) findNumbers(scan, cluster);
      TRIGGER.lastIndex = cluster.end;
    } else if (code === AT) {
      findEmail(scan, i);
      findUrlUserinfo(scan, i);
    } else {
      findAssignment(scan, i);
      if (code === COLON && i >= ipEnd && folded.charCodeAt(i + 1) > 32) ipEnd = findIpv6(scan, i);
    }
  }
  findPrivateKeys(scan);
  findTenantPatterns(scan, policy);
  return scan;
}
