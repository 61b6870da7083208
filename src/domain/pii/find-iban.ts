import { passesMod97 } from './is-card-number.js';
import type { Scan } from './scan.js';
import { endsToken, hasContext, isAlphanumeric, report, startsToken } from './scan.js';

/** Length of an IBAN by country (SWIFT IBAN registry, release 99). */
const LENGTHS: ReadonlyMap<string, number> = new Map(
  (
    'AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DJ27 DK18 DO28 EE20 EG29 ' +
    'ES24 FI18 FK18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HN28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20 ' +
    'LB28 LC32 LI21 LT20 LU20 LV21 LY25 MC27 MD24 ME22 MK19 MN20 MR27 MT31 MU30 NI28 NL18 NO15 OM23 PK24 PL28 PS29 ' +
    'PT25 QA29 RO24 RS22 RU33 SA24 SC31 SD18 SE24 SI19 SK24 SM27 SO23 ST25 SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20 YE30'
  )
    .split(' ')
    .map((entry) => [entry.slice(0, 2), Number(entry.slice(2))] as const),
);
const CONTEXT = /(?:^|[^a-z0-9])(?:iban|account|bank|transfer|konto)(?![a-z0-9_])/i;

/** Finds an IBAN whose two check digits start at `at`; compact or in groups of four, either case. */
export function findIban(scan: Scan, at: number): void {
  const { text } = scan;
  const start = at - 2;
  const length = LENGTHS.get(text.slice(start, at).toUpperCase());
  if (length === undefined || !startsToken(text, start)) return;
  let compact = '';
  let next = start;
  while (compact.length < length) {
    const code = text.charCodeAt(next);
    if (isAlphanumeric(code)) compact += text.charAt(next);
    else if (compact.length % 4 !== 0 || (code !== 32 && code !== 45)) break;
    next++;
    scan.steps++;
    if (next - start > 48) break;
  }
  compact = compact.toUpperCase();
  if (compact.length !== length || !/^[A-Z]{2}\d\d/.test(compact) || !endsToken(text, next)) return;
  if (!passesMod97(compact)) return;
  const span = { start, end: next };
  const score = hasContext(scan, span, CONTEXT) ? 1 : 0.9;
  report(scan, { kind: 'IBAN', ...span, score, validated: true });
}
