import { spawnSync } from 'node:child_process';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { createParser } from '../../src/adapters/parsing/create-parser.js';
import { startChild } from '../../src/adapters/processes/start-child.js';
import { textGate } from '../../src/domain/etl/gates.js';
import type { ParseInput, ParseLimits, ParseOutcome, Parser } from '../../src/domain/etl/parser.js';
import {
  buildDocx,
  buildLockedPdf,
  buildPdf,
  buildZip,
  docxEntries,
  wordParagraph,
} from './fixtures/build-documents.js';

const badEntry = new URL('./fixtures/bad-parser.child', import.meta.url);
const never = new AbortController().signal;
const MIB = 2 ** 20;

let spoolParent: string;
let parser: Parser | undefined;
let kills: string[];

beforeEach(async () => {
  spoolParent = await mkdtemp(join(tmpdir(), 'anneal-bad-input-'));
  kills = [];
});
afterEach(async () => {
  await parser?.close();
  parser = undefined;
  expect(await readdir(spoolParent)).toEqual([]);
  await rm(spoolParent, { recursive: true });
});

async function open(limits: Partial<ParseLimits> = {}, entry?: URL): Promise<Parser> {
  const onKill = (cause: string): void => void kills.push(cause);
  parser = await createParser({ startChild, limits, entry, spoolParent, onKill });
  return parser;
}

const input = (name: string, content: string | Uint8Array): ParseInput => ({
  id: name,
  name,
  content: { bytes: Buffer.from(content) },
});
const ordinary = (count: number): ParseInput[] =>
  Array.from({ length: count }, (_, at) => input(`doc-${at}.txt`, `Ordinary text number ${at}.`));
const refusedOf = (outcomes: ParseOutcome[]): unknown[] =>
  outcomes.flatMap((outcome) =>
    'refused' in outcome ? [[outcome.id, outcome.refused.reason, outcome.refused.evidence]] : [],
  );

test.each([
  { fault: 'HANG', limits: { wallMs: 700 }, cause: 'wall', evidence: { limit: 'wall_ms' } },
  { fault: 'WAIT', limits: { wallMs: 700 }, cause: 'wall', evidence: { limit: 'wall_ms' } },
  {
    fault: 'LEAK',
    limits: { rssBytes: 300 * MIB },
    cause: 'rss',
    evidence: { limit: 'rss_bytes' },
  },
  { fault: 'CRASH', limits: {}, cause: 'crash', evidence: { detail: 'parser_died' } },
])(
  'of 1,000 documents, the one at which a parser does $fault is refused and no other',
  async ({ fault, limits, cause, evidence }) => {
    const documents = ordinary(1000);
    documents[500] = input('poison.txt', `${fault} and then more text`);
    const outcomes = await (await open(limits, badEntry)).parse(documents, never);
    expect(outcomes.map((outcome) => outcome.id)).toEqual(documents.map((one) => one.id));
    const reason = cause === 'crash' ? 'parse_failed' : 'parse_limit';
    const refused = refusedOf(outcomes);
    expect(refused).toEqual([['poison.txt', reason, expect.objectContaining(evidence)]]);
    // Once in its batch, once alone: only that proves which document it was.
    expect(kills).toEqual([cause, cause]);
  },
);

test('several bad documents in one batch of 64 are each refused for their own reason', async () => {
  const documents = ordinary(64);
  documents[3] = input('crash.txt', 'CRASH');
  documents[4] = input('bad.json', '{');
  documents[40] = input('hang.txt', 'HANG');
  const outcomes = await (await open({ wallMs: 700 }, badEntry)).parse(documents, never);
  expect(refusedOf(outcomes).map((refused) => (refused as string[]).slice(0, 2))).toEqual([
    ['crash.txt', 'parse_failed'],
    ['bad.json', 'parse_failed'],
    ['hang.txt', 'parse_limit'],
  ]);
});

test('a PDF whose parser dies after each range of pages is finished from the last range on', async () => {
  const pages = Array.from({ length: 70 }, (_, at) => [`Text of page ${at + 1}`]);
  const [outcome] = await (
    await open({}, badEntry)
  ).parse([input('long.pdf', buildPdf(pages))], never);
  if (outcome === undefined || 'refused' in outcome) throw new Error(JSON.stringify(outcome));
  expect(outcome.result.blocks.map((block) => block.page)).toEqual(pages.map((_, at) => at + 1));
  expect(outcome.result.blocks[69]?.text).toBe('Text of page 70');
  expect(kills).toEqual(['crash', 'crash', 'crash']);
});

test.each([
  ['before its child is up', false],
  ['while its document hangs', true],
])('a call that is cancelled %s ends at once, and the parser serves the next', async (_, isUp) => {
  const bad = await open({}, badEntry);
  if (isUp) await bad.parse(ordinary(1), never);
  const controller = new AbortController();
  const hanging = bad.parse([input('hang.txt', 'HANG')], controller.signal);
  controller.abort(new Error('cancelled'));
  const next = bad.parse(ordinary(1), never);
  await expect(hanging).rejects.toThrow('cancelled');
  expect(refusedOf(await next)).toEqual([]);
  expect(kills).toEqual([]);
});

test('archives that unpack to too much, in truth or by their own account, are refused before they are parsed', async () => {
  const zeros = Buffer.alloc(30 * MIB);
  const many = Array.from({ length: 40 }, (_, at) => ({ name: `e${at}`, content: '' }));
  const outcomes = await (
    await open({ archiveBytes: 20 * MIB, archiveEntries: 30 })
  ).parse(
    [
      input('bomb.docx', buildZip([{ name: 'word/document.xml', content: zeros }])),
      input('liar.docx', buildZip([{ name: 'word/document.xml', content: zeros, declared: 10 }])),
      input(
        'ratio.docx',
        buildZip([{ name: 'word/document.xml', content: zeros.subarray(0, 10 * MIB) }]),
      ),
      input('many.docx', buildZip(many)),
      input('cut.docx', buildDocx('').subarray(0, 200)),
      input('other.docx', buildZip([{ name: 'a.txt', content: 'text' }])),
    ],
    never,
  );
  expect(refusedOf(outcomes)).toEqual([
    ['bomb.docx', 'parse_limit', { limit: 'archive_bytes', value: 30 * MIB }],
    ['liar.docx', 'parse_limit', { limit: 'archive_bytes', value: 20 * MIB }],
    ['ratio.docx', 'parse_limit', { limit: 'archive_ratio', value: expect.any(Number) as number }],
    ['many.docx', 'parse_limit', { limit: 'archive_entries', value: 40 }],
    ['cut.docx', 'parse_failed', { detail: 'zip' }],
    ['other.docx', 'parse_failed', { detail: 'zip_is_not_docx' }],
  ]);
});

const DOCUMENT = 'word/document.xml';
const page = wordParagraph('An ordinary page.');
const docx = buildDocx(page);

/** The archive with some of its bytes changed; `end` is where its end record begins, `directory` where its directory does. */
function changed(
  zip: Buffer,
  change: (bytes: Buffer, at: { end: number; directory: number }) => unknown,
): Buffer {
  const bytes = Buffer.from(zip);
  const end = bytes.length - 22;
  change(bytes, { end, directory: bytes.readUInt32LE(end + 16) });
  return bytes;
}

/** Four bytes under the name of the document, then 30 MiB under the same: the later one is what the library unpacks. */
const twice = buildZip([
  { name: DOCUMENT, content: '<w/>' },
  { name: DOCUMENT, content: Buffer.alloc(30 * MIB) },
]);
const counted = (zip: Buffer, here: number, all = here): Buffer =>
  changed(zip, (bytes, { end }) => bytes.writeUInt32LE(here + all * 0x1_0000, end + 8));

/** Extra field that names the entry as the document (APPNOTE 4.6.9). */
function otherName(name: string): Buffer {
  const head = Buffer.from([0x75, 0x70, 5 + name.length, 0, 1, 0, 0, 0, 0]);
  return Buffer.concat([head, Buffer.from(name)]);
}
const named = (...names: string[]): Buffer =>
  buildZip(names.map((name) => ({ name, content: 'x' })));

const deceiving: [of: string, archive: Buffer, detail: string][] = [
  ['entries beyond its count', counted(twice, 1), 'zip_directory'],
  [
    'entries beyond its count and its size',
    changed(counted(twice, 1), (bytes, { end }) => bytes.writeUInt32LE(46 + 17, end + 12)),
    'zip_directory',
  ],
  ['no entry, by its own account', counted(docx, 0), 'zip_directory'],
  ['more entries than follow', counted(docx, 5), 'zip_directory'],
  ['two counts', counted(docx, 4, 3), 'zip_directory'],
  [
    'an end on another disk',
    changed(docx, (b, { end }) => b.writeUInt16LE(1, end + 4)),
    'zip_directory',
  ],
  [
    'a directory on another disk',
    changed(docx, (b, { end }) => b.writeUInt16LE(1, end + 6)),
    'zip_directory',
  ],
  [
    'an entry on another disk',
    changed(docx, (b, { directory }) => b.writeUInt16LE(1, directory + 34)),
    'zip_directory',
  ],
  ['bytes before it', Buffer.concat([Buffer.from('PK\x03\x04 and more'), docx]), 'zip_directory'],
  [
    'bytes behind its directory',
    Buffer.concat([docx.subarray(0, -22), Buffer.alloc(4), docx.subarray(-22)]),
    'zip_directory',
  ],
  ['an escaped count', counted(docx, 0xffff), 'zip64'],
  ['an escaped disk', changed(docx, (b, { end }) => b.writeUInt16LE(0xffff, end + 4)), 'zip64'],
  [
    'an escaped size',
    changed(docx, (b, { end }) => b.writeUInt32LE(0xffffffff, end + 12)),
    'zip64',
  ],
  [
    'an escaped offset',
    changed(docx, (b, { end }) => b.writeUInt32LE(0xffffffff, end + 16)),
    'zip64',
  ],
  ...[20, 24, 42].map((at): [string, Buffer, string] => [
    `an escaped number in an entry, at ${at}`,
    changed(docx, (bytes, { directory }) => bytes.writeUInt32LE(0xffffffff, directory + at)),
    'zip64',
  ]),
  ['one name twice', twice, 'zip_duplicate'],
  ...[
    '/etc/passwd',
    '../a',
    'a/../b',
    'a/..',
    './a',
    'a//b',
    '\\a',
    '..\\a',
    'c:/a',
    'a\0',
    '',
  ].map((name): [string, Buffer, string] => [
    `the name ${JSON.stringify(name)}`,
    named(DOCUMENT, name),
    'zip_name',
  ]),
  [
    'another name before the bytes',
    buildZip([{ name: 'a', localName: DOCUMENT, content: 'x' }]),
    'zip_name',
  ],
  [
    'another name in an extra field',
    buildZip([{ name: 'a', extra: otherName(DOCUMENT), content: 'x' }]),
    'zip_name',
  ],
  [
    'a symbolic link',
    buildZip([{ name: DOCUMENT, content: '/etc/passwd', mode: 0o120777 }]),
    'zip_link',
  ],
];

test('archives that readers would read otherwise than their directory says are refused before they are parsed', async () => {
  const archives = deceiving.map(([of, archive]) => input(`${of}.docx`, archive));
  const outcomes = await (await open({ archiveBytes: MIB })).parse(archives, never);
  expect(refusedOf(outcomes)).toEqual(
    deceiving.map(([of, , detail]) => [`${of}.docx`, 'parse_failed', { detail }]),
  );
});

test('archives as writers make them pass: with a comment, folders, modes, and names said twice alike', async () => {
  const comment = changed(Buffer.concat([docx, Buffer.from('by hand')]), (bytes) =>
    bytes.writeUInt16LE(7, docx.length - 2),
  );
  const padding = Buffer.from([1, 2, 2, 0, 0, 0]);
  const careful = buildZip([
    { name: 'word/', content: '', mode: 0o040755 },
    ...docxEntries(page).map((entry) => ({
      ...entry,
      mode: 0o100644,
      extra: Buffer.concat([padding, otherName(entry.name)]),
    })),
  ]);
  const archives = { 'plain.docx': docx, 'comment.docx': comment, 'careful.docx': careful };
  const outcomes = await (
    await open()
  ).parse(
    Object.entries(archives).map(([name, bytes]) => input(name, bytes)),
    never,
  );
  expect(refusedOf(outcomes)).toEqual([]);
  const texts = outcomes.map((one) => ('refused' in one ? '' : one.result.blocks[0]?.text));
  expect(texts).toEqual(Array(3).fill('An ordinary page.'));
});

test('a password, a missing text layer and broken bytes are each named', async () => {
  const office = Buffer.concat([Buffer.from([0xd0, 0xcf, 0x11, 0xe0]), Buffer.alloc(600)]);
  const outcomes = await (
    await open()
  ).parse(
    [
      input('locked.pdf', buildLockedPdf()),
      input('locked.docx', office),
      input('scan.pdf', buildPdf([[], []])),
      input('broken.pdf', '%PDF-1.4 and nothing else'),
    ],
    never,
  );
  expect(refusedOf(outcomes)).toEqual([
    ['locked.pdf', 'encrypted', { detail: 'pdf' }],
    ['locked.docx', 'encrypted', { detail: 'compound_file' }],
    ['scan.pdf', 'no_text_layer', { pages: 2 }],
    ['broken.pdf', 'parse_failed', { detail: 'pdf' }],
  ]);
});

test('64 MiB of text is over the limit of characters, a byte more is over the limit of bytes; neither costs a child', async () => {
  const path = join(tmpdir(), `anneal-large-${process.pid}.txt`);
  const bytes = Buffer.alloc(64 * MIB + 1, 'word ');
  await writeFile(path, bytes.subarray(0, 64 * MIB));
  try {
    const outcomes = await (
      await open()
    ).parse(
      [
        { id: 'file', name: 'file.txt', content: { path } },
        input('bytes.txt', bytes),
        ...ordinary(1),
      ],
      never,
    );
    expect(refusedOf(outcomes)).toEqual([
      ['file', 'parse_limit', { limit: 'text_units', value: 64 * MIB }],
      ['bytes.txt', 'parse_limit', { limit: 'raw_bytes', value: 64 * MIB + 1 }],
    ]);
    expect(kills).toEqual([]);
  } finally {
    await rm(path, { force: true });
  }
});

test('bytes that are no UTF-8 reach the gate for mojibake', async () => {
  const latin = Buffer.from('Größe über alles; süße Mühen für Jörg und Käthe.', 'latin1');
  const [outcome] = await (await open()).parse([input('latin.txt', latin)], never);
  if (outcome === undefined || 'refused' in outcome) throw new Error('refused');
  expect(textGate(outcome.result.blocks[0]?.text ?? '')?.reason).toBe('mojibake');
});

test('nesting that exhausts a parser is refused, and its child goes on', async () => {
  const deep = 20_000;
  const outcomes = await (
    await open()
  ).parse(
    [
      input('deep.json', '['.repeat(deep) + ']'.repeat(deep)),
      input('deep.html', `<!doctype html>${'<div>'.repeat(2000)}text`),
      ...ordinary(3),
    ],
    never,
  );
  expect(refusedOf(outcomes).map((refused) => (refused as string[]).slice(0, 2))).toEqual([
    ['deep.json', 'parse_limit'],
    ['deep.html', 'parse_limit'],
  ]);
});

test('a child is replaced after 200 documents of a heavy library, unseen by the caller', async () => {
  const pids = new Set<number | undefined>();
  parser = await createParser({
    spoolParent,
    startChild: (entry, options) => {
      const child = startChild(entry, options);
      pids.add(child.pid);
      return child;
    },
  });
  const pages = Array.from({ length: 250 }, (_, at) =>
    input(`p${at}.html`, `<html><body><p>Page ${at}</body></html>`),
  );
  expect(refusedOf(await parser.parse(pages, never))).toEqual([]);
  expect(pids.size).toBe(2);
});

test('a child gets an empty environment', async () => {
  let env: unknown;
  parser = await createParser({
    spoolParent,
    startChild: (entry, options) => {
      env = options.env;
      return startChild(entry, options);
    },
  });
  await parser.parse(ordinary(1), never);
  expect(env).toEqual({});
});

test('what a killed process has left of documents goes when the next one starts', async () => {
  const { pid: dead } = spawnSync('true');
  const folderOf = (pid: number) => join(spoolParent, `anneal-parse-${hostname()}-${pid}-x1`);
  for (const pid of [dead, process.ppid]) {
    await mkdir(folderOf(pid));
    await writeFile(join(folderOf(pid), '1.in'), 'a document');
  }
  parser = await createParser({ spoolParent, startChild });
  const names = await readdir(spoolParent);
  expect(names).not.toContain(basename(folderOf(dead)));
  expect(names).toContain(basename(folderOf(process.ppid)));
  await rm(folderOf(process.ppid), { recursive: true });
});
