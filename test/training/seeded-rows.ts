import type { FeatureField } from '../../src/domain/training/training-table.js';

/** mulberry32: uniform numbers in [0, 1) from a seed. */
export function createRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Fields of {@link seededRows}: numbers of different size, a number with few values, two categories. */
export const seededFields: FeatureField[] = [
  { name: 'size', type: 'number' },
  { name: 'count', type: 'integer' },
  { name: 'colour', type: 'categorical' },
  { name: 'member', type: 'boolean' },
];

export interface SeededRow extends Record<string, string | number | boolean> {
  size: number;
  count: number;
  colour: string;
  member: boolean;
}

/** Rows and labels from a seed; by default the label depends on all fields, with noise. */
export function seededRows(
  rowCount: number,
  seed: number,
  rule?: (row: SeededRow) => boolean,
): { rows: SeededRow[]; labels: boolean[] } {
  const random = createRandom(seed);
  const rows: SeededRow[] = [];
  const labels: boolean[] = [];
  for (let i = 0; i < rowCount; i++) {
    const row = {
      size: (random() - 0.5) * 20,
      count: Math.floor(random() * 8),
      colour: ['red', 'green', 'blue', 'black'][Math.floor(random() * 4)] ?? 'red',
      member: random() < 0.3,
    };
    const score =
      row.size / 4 + row.count / 4 + (row.colour === 'red' ? 1.5 : 0) - (row.member ? 1 : 0);
    rows.push(row);
    labels.push(rule ? rule(row) : score + (random() - 0.5) * 4 > 1);
  }
  return { rows, labels };
}
