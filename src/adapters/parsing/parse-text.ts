import type { ParsedBlock } from '../../domain/etl/document.js';
import type { Flag } from '../../domain/etl/flags.js';
import { ParseRefusal } from './parse-refusal.js';

/** What a parser of one type yields; `parseDocument` adds type, version and the title where there is none. */
export interface Parsed {
  title?: string | undefined;
  metadata?: Record<string, unknown> | undefined;
  declared?: { acl?: string[] | undefined; subjects?: string[] | undefined } | undefined;
  flags?: Flag[] | undefined;
  blocks: ParsedBlock[];
}

const MAX_DEPTH = 200;

/** Plain text: a paragraph ends at a blank line. */
export const parseText = (text: string): Parsed => ({
  blocks: text
    .split(/\n[^\S\n]*\n/)
    .flatMap((part): ParsedBlock[] =>
      part.trim() === '' ? [] : [{ kind: 'paragraph', text: part }],
    ),
});

const escapePointer = (key: string): string => key.replaceAll('~', '~0').replaceAll('/', '~1');

/** One line per scalar: its RFC 6901 pointer and its value. Null and empty values say nothing. */
function scalarLines(root: unknown): string[] {
  const lines: string[] = [];
  const waiting: { pointer: string; value: unknown; depth: number }[] = [
    { pointer: '', value: root, depth: 0 },
  ];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const { pointer, value, depth } = next;
    if (depth > MAX_DEPTH) throw new ParseRefusal('parse_limit', { limit: 'depth', value: depth });
    if (typeof value === 'object' && value !== null) {
      const entries = Object.entries(value).reverse();
      for (const [key, inner] of entries)
        waiting.push({
          pointer: `${pointer}/${escapePointer(key)}`,
          value: inner,
          depth: depth + 1,
        });
    } else if (value !== null && value !== '') {
      const scalar = typeof value === 'string' ? value : JSON.stringify(value);
      lines.push(pointer === '' ? scalar : `${pointer}: ${scalar}`);
    }
  }
  return lines;
}

const titleOf = (value: unknown): string | undefined =>
  typeof value === 'object' && value !== null && 'title' in value && typeof value.title === 'string'
    ? value.title
    : undefined;

function parseValue(text: string, line: number): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new ParseRefusal('parse_failed', { detail: 'json', line });
  }
}

/** JSON: one paragraph per scalar value, under its pointer. */
export function parseJson(text: string): Parsed {
  const value = parseValue(text, 1);
  return {
    title: titleOf(value),
    blocks: scalarLines(value).map((line) => ({ kind: 'paragraph', text: line })),
  };
}

/** JSON lines: a row per line; a line that is not JSON fails the document, because nobody could say what it lost. */
export function parseJsonLines(text: string): Parsed {
  const blocks: ParsedBlock[] = [];
  for (const [index, line] of text.split('\n').entries()) {
    if (line.trim() === '') continue;
    const lines = scalarLines(parseValue(line, index + 1));
    if (lines.length > 0) blocks.push({ kind: 'row', row: index + 1, text: lines.join('\n') });
  }
  return { blocks };
}
