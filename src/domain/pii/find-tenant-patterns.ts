import { compilePattern } from '../datasets/linear-pattern.js';
import type { PiiPattern, PiiPolicy } from './contract.js';
import type { Scan } from './scan.js';
import { endsToken, hasContext, isAlphanumeric, report, wordAt, wordBefore } from './scan.js';

const WINDOW = 256;

interface CompiledPattern {
  pattern: PiiPattern;
  at: RegExp;
  context: RegExp | undefined;
}

const escape = (word: string): string => word.replace(/[\\^$.*+?()[\]{}|/-]/g, '\\$&');

function compile(pattern: PiiPattern): CompiledPattern {
  const body = compilePattern(pattern.pattern).source.slice(1, -1);
  const words = pattern.context.map(escape).join('|');
  return {
    pattern,
    at: new RegExp(`${body}(?![\\p{L}\\p{N}\\p{M}])`, 'uy'),
    context: words === '' ? undefined : new RegExp(`(?:^|[^a-z0-9])(?:${words})(?![a-z0-9_])`, 'i'),
  };
}

// eslint-disable-next-line no-restricted-syntax -- changes the time a call takes, never its result
const compiled = new WeakMap<PiiPolicy, CompiledPattern[]>();

function patternsOf(policy: PiiPolicy): CompiledPattern[] {
  const known = compiled.get(policy);
  if (known) return known;
  const made = policy.patterns.map(compile);
  compiled.set(policy, made);
  return made;
}

/**
 * Finds the patterns of the tenant. Each is tried where a token starts and sees 256 characters from there; the accepted
 * syntax reads a text in one way only, so a try is linear and the whole is linear in the text.
 */
export function findTenantPatterns(scan: Scan, policy: PiiPolicy): void {
  const patterns = patternsOf(policy);
  if (patterns.length === 0) return;
  const { text } = scan;
  for (let start = 0; start < text.length; start++) {
    const code = text.charCodeAt(start);
    if (code <= 32 || (code >= 0xdc00 && code <= 0xdfff)) continue;
    const starts = isAlphanumeric(code) ? !isAlphanumeric(text.charCodeAt(start - 1)) : true;
    if (!starts || (wordAt(text, start) && wordBefore(text, start))) continue;
    const window = text.slice(start, start + WINDOW + 1);
    for (const { pattern, at, context } of patterns) {
      at.lastIndex = 0;
      const match = at.exec(window);
      scan.steps += WINDOW;
      if (!match || match[0] === '' || match[0].length > WINDOW) continue;
      const span = { start, end: start + match[0].length };
      if (!endsToken(text, span.end)) continue;
      const near = context !== undefined && hasContext(scan, span, context);
      const score = pattern.score + (near ? 0.35 : 0);
      report(scan, { kind: pattern.name, ...span, score, validated: false });
    }
  }
}
