import type { Finding, PiiPolicy } from './contract.js';
import { actionOf, piiKinds } from './contract.js';
import { scanText } from './scan-text.js';

/** Length of what replaces a finding, for the rounds after the first: the form of a pseudonym or of a mask. */
const placeholder = (policy: PiiPolicy, kind: string): string =>
  actionOf(policy, kind) === 'mask' ? `[${kind}]` : `${kind}_aaaaaaaaaa`;

// eslint-disable-next-line no-restricted-syntax -- changes the time a call takes, never its result
const tokens = new WeakMap<PiiPolicy, RegExp>();

/** Pseudonyms that stand in a text already: `KIND_` with 10 base 32 characters, or nonce and number of a conversation. */
function tokenPattern(policy: PiiPolicy): RegExp {
  const known = tokens.get(policy);
  if (known) return known;
  const kinds = [...piiKinds, ...policy.patterns.map(({ name }) => name)].join('|');
  const made = new RegExp(
    `(?<![A-Za-z0-9])(?:${kinds})_(?:[a-z2-7]{10}|[0-9a-f]{4}_[0-9]{1,6})(?![A-Za-z0-9])`,
    'g',
  );
  tokens.set(policy, made);
  return made;
}

const better = (a: Finding, b: Finding): number =>
  Number(b.validated) - Number(a.validated) ||
  b.end - b.start - (a.end - a.start) ||
  b.score - a.score ||
  a.start - b.start;

/** Keeps of overlapping findings the validated one, then the longest, then the one with the highest score. */
function resolve(found: readonly Finding[], text: string, policy: PiiPolicy): Finding[] {
  const taken = new Uint8Array(text.length);
  if (text.includes('_'))
    for (const match of text.matchAll(tokenPattern(policy)))
      taken.fill(1, match.index, match.index + match[0].length);
  const kept: Finding[] = [];
  for (const finding of [...found].sort(better)) {
    if (taken.subarray(finding.start, finding.end).includes(1)) continue;
    taken.fill(1, finding.start, finding.end);
    kept.push(finding);
  }
  return kept
    .filter(({ kind }) => actionOf(policy, kind) !== 'allow')
    .sort((a, b) => a.start - b.start);
}

/** One round: what stands in a text as it is. */
function findOnce(
  text: string,
  policy: PiiPolicy,
  fieldName: string,
): { findings: Finding[]; steps: number } {
  const { found, steps } = scanText(text, policy, fieldName);
  const strong = found.filter(({ validated, score }) => validated || score >= policy.minScore);
  if (strong.length === 0) return { findings: [], steps };
  const covered = strong.reduce((sum, { start, end }) => sum + end - start, 0);
  return { findings: resolve(strong, text, policy), steps: steps + covered };
}

// What a replacement uncovers is found by the next round; context reaches 56 characters, so few rounds see anything.
const MAX_ROUNDS = 8;

interface Piece {
  /** Where the piece stands in the text with placeholders, and by how much it moved from the text as given. */
  start: number;
  shift: number;
}

function substitute(
  text: string,
  findings: readonly Finding[],
  policy: PiiPolicy,
): { text: string; pieces: Piece[] } {
  const parts: string[] = [];
  const pieces: Piece[] = [{ start: 0, shift: 0 }];
  let last = 0;
  let shift = 0;
  for (const { kind, start, end } of findings) {
    const token = placeholder(policy, kind);
    parts.push(text.slice(last, start), token);
    last = end;
    shift += token.length - (end - start);
    pieces.push({ start: end + shift, shift });
  }
  return { text: parts.join('') + text.slice(last), pieces };
}

function restore(findings: readonly Finding[], pieces: readonly Piece[]): Finding[] {
  let at = 0;
  return findings.map((finding) => {
    while ((pieces[at + 1]?.start ?? Infinity) <= finding.start) at++;
    const shift = pieces[at]?.shift ?? 0;
    return { ...finding, start: finding.start - shift, end: finding.end - shift };
  });
}

/** {@link findPii} with the number of characters its detectors looked at, for tests of its cost. */
export function findPiiCounted(
  text: string,
  policy: PiiPolicy,
  fieldName = '',
): { findings: Finding[]; steps: number } {
  const first = findOnce(text, policy, fieldName);
  let { findings, steps } = first;
  for (let round = 1; round < MAX_ROUNDS && findings.length > 0; round++) {
    const replaced = substitute(text, findings, policy);
    const next = findOnce(replaced.text, policy, fieldName);
    steps += next.steps;
    if (next.findings.length === 0) break;
    findings = [...findings, ...restore(next.findings, replaced.pieces)].sort(
      (a, b) => a.start - b.start,
    );
  }
  return { findings, steps };
}

/**
 * Personal data and secrets in a text by patterns, validators and context: sorted, without overlaps, in UTF-16 offsets.
 * Time is linear in the text. Kinds whose action is `allow` are left out but still win over what they overlap;
 * pseudonyms that stand in the text already are not found again. Sample values are found like any other.
 *
 * @param fieldName name of the field or column that the text stands in: a word of context like those around a value
 */
export const findPii = (text: string, policy: PiiPolicy, fieldName = ''): Finding[] =>
  findPiiCounted(text, policy, fieldName).findings;

/** Whether an already scrubbed text still holds a validated finding: the `residual_pii` gate. */
export const hasResidualPii = (text: string, policy: PiiPolicy): boolean =>
  findOnce(text, policy, '').findings.some(({ validated }) => validated);
