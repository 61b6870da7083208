import type { PiiPolicy } from './contract.js';
import { actionOf } from './contract.js';
import { findPii } from './find-pii.js';
import { normaliseValue } from './normalise-value.js';

/** Where a finding stood and what took its place, in UTF-16 units of the text before and after. */
interface ScrubbedSpan {
  kind: string;
  start: number;
  end: number;
  scrubbedStart: number;
  scrubbedEnd: number;
}

export interface Scrubbed {
  text: string;
  /** Counts by kind, kinds without a finding left out; never values. */
  findings: Record<string, number>;
  spans: ScrubbedSpan[];
}

export interface ScrubOptions {
  policy: PiiPolicy;
  /** Pseudonym of a normalised value; `createPseudonym` makes one per tenant. */
  pseudonym: (kind: string, normalisedValue: string) => string;
  /** Name of the field or column the text stands in. */
  fieldName?: string | undefined;
}

/**
 * Replaces every finding by its pseudonym or by `[KIND]`, on the offsets of the text as given. With the pseudonyms of
 * `createPseudonym` a second pass changes nothing: scrub(scrub(x)) = scrub(x).
 */
export function scrubText(text: string, options: ScrubOptions): Scrubbed {
  const { policy, pseudonym } = options;
  const found = findPii(text, policy, options.fieldName ?? '');
  if (found.length === 0) return { text, findings: {}, spans: [] };
  const findings: Record<string, number> = {};
  const spans: ScrubbedSpan[] = [];
  const parts: string[] = [];
  let last = 0;
  let length = 0;
  for (const { kind, start, end } of found) {
    const masked = actionOf(policy, kind) === 'mask';
    const token = masked
      ? `[${kind}]`
      : pseudonym(kind, normaliseValue(kind, text.slice(start, end)));
    parts.push(text.slice(last, start), token);
    const scrubbedStart = length + start - last;
    length = scrubbedStart + token.length;
    spans.push({ kind, start, end, scrubbedStart, scrubbedEnd: length });
    findings[kind] = (findings[kind] ?? 0) + 1;
    last = end;
  }
  parts.push(text.slice(last));
  return { text: parts.join(''), findings, spans };
}
