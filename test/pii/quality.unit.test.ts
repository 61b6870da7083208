import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { defaultPiiPolicy } from '../../src/domain/pii/contract.js';
import { findPii } from '../../src/domain/pii/find-pii.js';
import { describeWithData, testDataDir } from '../support/test-data.js';

interface Labelled {
  full_text: string;
  spans: { entity_type: string; start_position: number; end_position: number }[];
}

const kindOf: Record<string, string> = {
  CREDIT_CARD: 'CARD',
  IBAN_CODE: 'IBAN',
  EMAIL_ADDRESS: 'EMAIL',
  IP_ADDRESS: 'IP',
  US_SSN: 'SSN',
  PHONE_NUMBER: 'PHONE',
};
const required = { CARD: 0.99, IBAN: 0.99, EMAIL: 0.99, IP: 0.99, SSN: 0.95, PHONE: 0.8 };

interface Counts {
  hit: number;
  missed: number;
  wrong: number;
}

const fScore = ({ hit, missed, wrong }: Counts, beta: number): number =>
  ((1 + beta ** 2) * hit) / ((1 + beta ** 2) * hit + beta ** 2 * missed + wrong);

/** Spans count only where kind, start and end are those of the label; characters where both mark them. */
function measure(texts: Labelled[]): {
  kinds: Map<string, Counts>;
  spans: Counts;
  characters: Counts;
} {
  const kinds = new Map<string, Counts>();
  const countsOf = (kind: string): Counts => {
    const counts = kinds.get(kind) ?? { hit: 0, missed: 0, wrong: 0 };
    kinds.set(kind, counts);
    return counts;
  };
  const characters: Counts = { hit: 0, missed: 0, wrong: 0 };
  for (const { full_text: text, spans } of texts) {
    const found = findPii(text, defaultPiiPolicy);
    const key = (kind: string, start: number, end: number): string => `${kind} ${start} ${end}`;
    const labels = new Set(
      spans.map((s) =>
        key(kindOf[s.entity_type] ?? s.entity_type, s.start_position, s.end_position),
      ),
    );
    const marked = new Uint8Array(text.length);
    for (const { start_position, end_position } of spans)
      marked.fill(1, start_position, end_position);
    for (const { kind, start, end } of found) {
      countsOf(kind)[labels.delete(key(kind, start, end)) ? 'hit' : 'wrong']++;
      for (let i = start; i < end; i++) {
        characters[marked[i] === 1 ? 'hit' : 'wrong']++;
        marked[i] = 0;
      }
    }
    for (const label of labels) countsOf(label.split(' ')[0] ?? '').missed++;
    characters.missed += marked.reduce((sum, mark) => sum + mark, 0);
  }
  const spans = { hit: 0, missed: 0, wrong: 0 };
  for (const counts of kinds.values())
    for (const part of ['hit', 'missed', 'wrong'] as const) spans[part] += counts[part];
  return { kinds, spans, characters };
}

describeWithData('presidio', 'quality on labelled texts', () => {
  it('finds numbers and addresses that a machine can check, and hardly anything else', () => {
    const texts = JSON.parse(
      readFileSync(join(testDataDir, 'presidio', 'synth-dev.json'), 'utf8'),
    ) as Labelled[];
    const { kinds, spans, characters } = measure(texts);
    const table = [...kinds].map(
      ([kind, { hit, missed, wrong }]) =>
        `${kind.padEnd(18)} hit ${String(hit).padStart(4)}  missed ${String(missed).padStart(4)}  wrong ${wrong}`,
    );
    // Names, places, dates and titles are labelled as well; no pattern finds them.
    process.stdout.write(
      [
        ...table.sort(),
        `all types: character F2 ${fScore(characters, 2).toFixed(3)}, span F1 ${fScore(spans, 1).toFixed(3)}`,
        '',
      ].join('\n'),
    );
    for (const [kind, recall] of Object.entries(required)) {
      const { hit, missed, wrong } = kinds.get(kind) ?? { hit: 0, missed: 1, wrong: 0 };
      expect([kind, hit / (hit + missed) >= recall]).toEqual([kind, true]);
      expect([kind, hit / (hit + wrong) >= 0.95]).toEqual([kind, true]);
    }
  });
});
