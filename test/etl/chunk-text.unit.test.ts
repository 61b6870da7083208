import fc from 'fast-check';
import { assembleText } from '../../src/domain/etl/assemble-text.js';
import { chunkText } from '../../src/domain/etl/chunk-text.js';
import { cleanText } from '../../src/domain/etl/clean-text.js';
import type { Chunk, ParsedBlock, RevisionText } from '../../src/domain/etl/document.js';

const plain = (text: string): string => text;
const revisionOf = (blocks: ParsedBlock[], title = 'Doc'): RevisionText =>
  assembleText({ title, blocks }, plain);
const paragraph = (text: string): ParsedBlock => ({ kind: 'paragraph', text });
const heading = (level: number, text: string): ParsedBlock => ({ kind: 'heading', level, text });
const words = (count: number, word = 'word'): string =>
  Array.from({ length: count }, (_, at) => `${word}${at}`).join(' ');
const spans = (revision: RevisionText, chunks: Chunk[]): string[] =>
  chunks.map(({ start, end }) => revision.text.slice(start, end));

const unit = fc.constantFrom(
  'a',
  'B',
  '0',
  ' ',
  ' ',
  '\n',
  '.',
  '。',
  'é',
  '🙂',
  '\ud83d',
  '\u200b',
);
const blockOf = fc.record({
  kind: fc.constantFrom('heading', 'paragraph', 'list', 'code', 'table', 'row'),
  level: fc.integer({ min: 1, max: 6 }),
  page: fc.option(fc.integer({ min: 1, max: 3 }), { nil: undefined }),
  header: fc.option(fc.constantFrom('h1 | h2', 'k | v'), { nil: undefined }),
  text: fc.string({ unit, maxLength: 300 }),
}) as fc.Arbitrary<ParsedBlock>;
const sizesOf = fc
  .tuple(fc.integer({ min: 16, max: 120 }), fc.integer({ min: 0, max: 60 }))
  .map(([target, more]) => ({ target, max: target + more }));

test('chunks lose nothing but white space, never overlap, stay within max and split no surrogate pair', () => {
  fc.assert(
    fc.property(fc.array(blockOf, { maxLength: 12 }), sizesOf, (blocks, sizes) => {
      const revision = revisionOf(blocks);
      const chunks = chunkText(revision, sizes);
      let at = 0;
      for (const chunk of chunks) {
        expect(chunk.start).toBeGreaterThanOrEqual(at);
        expect(revision.text.slice(at, chunk.start).trim()).toBe('');
        const span = revision.text.slice(chunk.start, chunk.end);
        expect(span.length).toBeLessThanOrEqual(sizes.max);
        expect(span.trim()).not.toBe('');
        expect(span.isWellFormed()).toBe(true);
        expect(chunk.embedText.endsWith(span)).toBe(true);
        at = chunk.end;
      }
      expect(revision.text.slice(at).trim()).toBe('');
    }),
    { numRuns: 500 },
  );
});

test('every block of a revision sits at its offsets, cleaned and scrubbed', () => {
  const scrub = (text: string): string => text.replaceAll('Ada', 'PERSON_1');
  const { text, title, blocks } = assembleText(
    {
      title: 'For Ada',
      blocks: [
        paragraph('Dear Ada,\r\n'),
        paragraph(' \n '),
        { kind: 'row', text: '1', header: 'Ada' },
      ],
    },
    scrub,
  );
  expect([title, text]).toEqual(['For PERSON_1', 'Dear PERSON_1,\n\n1']);
  expect(blocks.map(({ start, end }) => text.slice(start, end))).toEqual(['Dear PERSON_1,', '1']);
  expect(blocks[1]?.header).toBe('PERSON_1');
});

test('no chunk crosses a heading of level 1 or 2; a deeper one may share a chunk', () => {
  const revision = revisionOf([
    heading(1, '# Guide'),
    paragraph('Intro.'),
    heading(2, '## Keys'),
    paragraph('About keys.'),
    heading(3, '### Rotate'),
    paragraph('Turn it.'),
    heading(2, '## Locks'),
    paragraph('About locks.'),
  ]);
  const chunks = chunkText(revision);
  expect(spans(revision, chunks)).toEqual([
    '# Guide\n\nIntro.',
    '## Keys\n\nAbout keys.\n\n### Rotate\n\nTurn it.',
    '## Locks\n\nAbout locks.',
  ]);
  expect(chunks.map((chunk) => chunk.headingPath)).toEqual([
    ['Guide'],
    ['Guide', 'Keys'],
    ['Guide', 'Locks'],
  ]);
  expect(chunks[1]?.embedText.split('\n')[0]).toBe('Doc > Guide > Keys');
});

test('an edit of one paragraph leaves the embed text of the chunks after the next heading alone', () => {
  const section = (at: number, body: string): ParsedBlock[] => [
    heading(2, `## Part ${at}`),
    ...body.split('|').map(paragraph),
  ];
  const document = (third: string): ParsedBlock[] =>
    Array.from({ length: 8 }, (_, at) =>
      section(at, at === 3 ? third : `${words(120, `w${at}x`)}|${words(150, `v${at}x`)}`),
    ).flat();
  const before = chunkText(revisionOf(document(words(150)))).map((chunk) => chunk.embedText);
  const after = chunkText(revisionOf(document(words(160)))).map((chunk) => chunk.embedText);
  const changed = after.filter((text) => !before.includes(text));
  expect(changed.length).toBeLessThanOrEqual(2);
  expect(after.length).toBeGreaterThan(12);
});

test('oversize blocks split at blank line, then line, then sentence end, then space, then code point', () => {
  const sizes = { target: 40, max: 50 };
  const split = (text: string): string[] => {
    const revision = revisionOf([{ kind: 'code', text }]);
    return spans(revision, chunkText(revision, sizes));
  };
  expect(split(`${'a '.repeat(14)}x\n\n${'b'.repeat(5)}\n${'c '.repeat(20)}`)[0]).toBe(
    `${'a '.repeat(14)}x`,
  );
  expect(split(`First one is here. ${'b'.repeat(15)}\n${'c '.repeat(20)}`)[0]).toBe(
    `First one is here. ${'b'.repeat(15)}`,
  );
  expect(split(`It is a sentence of some. And ${'more '.repeat(8)}`)[0]).toBe(
    'It is a sentence of some.',
  );
  expect(split('ab '.repeat(30))[0]).toBe('ab ab ab ab ab ab ab ab ab ab ab ab ab');
  expect(split(`x${'🙂'.repeat(40)}`).map((part) => part.length)).toEqual([39, 42]);
});

test('pieces of a table and groups of rows repeat the header in what is embedded, not in what is cited', () => {
  const rows = Array.from({ length: 12 }, (_, at) => `| key ${at} | value ${at} |`);
  const table = revisionOf([
    heading(2, 'Rates'),
    { kind: 'table', header: '| k | v |', text: ['| k | v |', '|---|---|', ...rows].join('\n') },
  ]);
  const pieces = chunkText(table, { target: 100, max: 120 });
  expect(pieces.length).toBeGreaterThan(2);
  for (const [at, piece] of pieces.entries()) {
    expect(piece.embedText.match(/\| k \| v \|/g)).toHaveLength(1);
    expect(table.text.slice(piece.start, piece.end).includes('| k | v |')).toBe(at === 0);
  }
  const csv = revisionOf(
    rows.map((text, at) => ({ kind: 'row', text, header: 'k | v', row: at + 1 })),
  );
  const groups = chunkText(csv, { target: 100, max: 120 });
  expect(groups.map(({ row }) => row)).toEqual([1, 5, 9]);
  for (const group of groups) expect(group.embedText.startsWith('Doc\nk | v\n')).toBe(true);
});

test('a chunk never joins two pages', () => {
  const revision = revisionOf([
    { kind: 'paragraph', page: 1, text: 'end of one' },
    { kind: 'paragraph', page: 2, text: 'start of two' },
  ]);
  expect(chunkText(revision).map(({ page }) => page)).toEqual([1, 2]);
});

test('a chunk above the maximum of tokens is split again; nothing is cut off', () => {
  const revision = revisionOf([heading(2, 'Part'), paragraph(words(200))]);
  const count = (text: string): number => text.split(/\s+/).filter(Boolean).length;
  const chunks = chunkText(revision, { target: 1200, max: 1600, tokens: { count, max: 30 } });
  for (const chunk of chunks) expect(count(chunk.embedText)).toBeLessThanOrEqual(30);
  expect(spans(revision, chunks).join(' ').split(/\s+/)).toEqual(revision.text.split(/\s+/));
});

test('a context that leaves no room for text is given up before any text is', () => {
  const revision = revisionOf([paragraph('one two three four five six')], words(50, 'title'));
  const count = (text: string): number => text.split(/\s+/).filter(Boolean).length;
  const chunks = chunkText(revision, { target: 1200, max: 1600, tokens: { count, max: 4 } });
  expect(spans(revision, chunks).join(' ')).toBe('one two three four five six');
  for (const chunk of chunks) expect(count(chunk.embedText)).toBeLessThanOrEqual(4);
});

test('cleaning normalises, drops what nobody sees, and is idempotent; code keeps its spaces', () => {
  expect(cleanText('Zu\u0308rich\u200b \u202eabc\u{e0041}  \r\n\r\n\r\n\r\n\r\nend')).toBe(
    'Zürich abc\n\n\nend',
  );
  fc.assert(
    fc.property(fc.string({ unit }), (text) => {
      expect(cleanText(cleanText(text))).toBe(cleanText(text));
    }),
  );
  const code = 'if (x)  \n\n\n\n\n  return\u200b;';
  expect(revisionOf([{ kind: 'code', text: code }]).text).toBe(code);
});

test('text of a million characters without a line or a space is split in linear time', () => {
  const revision = revisionOf([
    paragraph('x'.repeat(4_000_000)),
    paragraph(' y'.repeat(1_000_000)),
  ]);
  const started = performance.now();
  expect(chunkText(revision).length).toBeGreaterThan(4000);
  expect(performance.now() - started).toBeLessThan(5000);
});

test('sizes that contradict each other are refused', () => {
  expect(() => chunkText(revisionOf([]), { target: 15, max: 20 })).toThrow(RangeError);
  expect(() => chunkText(revisionOf([]), { target: 100, max: 99 })).toThrow(RangeError);
});
