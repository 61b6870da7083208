import { createHash } from 'node:crypto';
import { hash384 } from '../../src/domain/etl/hash-384.js';
import type { SinkRow } from '../../src/domain/etl/vector-sink.js';

/** A seeded source of numbers in [0, 1). */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

/** The id of a row by its number, spread as real ids are. */
export function rowIdOf(key: string | number): string {
  const hex = createHash('sha256').update(String(key)).digest('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}

const syllables = ['ba', 'ce', 'di', 'fo', 'gu', 'ha', 'ke', 'li', 'mo', 'nu', 'pa', 're', 'si'];
const wordOf = (index: number): string =>
  `${syllables[index % 13] ?? ''}${syllables[Math.floor(index / 13) % 13] ?? ''}${syllables[Math.floor(index / 169) % 13] ?? ''}${Math.floor(index / 2197).toString(36)}`;

/** Words as a text has them: few often, many rarely. */
export function proseOf(random: () => number, words: number): string {
  const chosen: string[] = [];
  for (let at = 0; at < words; at += 1) chosen.push(wordOf(Math.floor(random() ** 3 * 20_000)));
  return chosen.join(' ');
}

/** A row with a text of its own and the vector of that text. */
export function rowOf(key: string | number, more: Partial<SinkRow> = {}): SinkRow {
  const seed = Number.parseInt(rowIdOf(key).slice(0, 8), 16);
  const text = more.text ?? proseOf(seeded(seed), 40);
  return {
    rowId: rowIdOf(key),
    docId: `doc-${key}`,
    vector: hash384(text) ?? new Float32Array(384).fill(1),
    text,
    acl: ['public'],
    accessHash: 'access-1',
    metadata: {},
    ...more,
  };
}

/** Rows `from` … `to` − 1. */
export const rowsOf = (
  from: number,
  to: number,
  more: (index: number) => Partial<SinkRow> = () => ({}),
): SinkRow[] => Array.from({ length: to - from }, (_, at) => rowOf(from + at, more(from + at)));
