import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createFolderSource } from '../../src/adapters/folder-source/create-folder-source.js';
import { createRowSplitter } from '../../src/adapters/parsing/create-row-splitter.js';
import { startThread } from '../../src/adapters/processes/start-child.js';
import { withRows } from '../../src/activities/etl/index.js';
import type { SourceFacts } from '../../src/domain/etl/ledger.js';
import type { PullSource } from '../../src/domain/etl/scan.js';

let root: string;
let rows: PullSource;
const { signal } = new AbortController();
const source = (csv: object): SourceFacts => ({
  sourceId: 'src_1',
  collectionId: 'col_1',
  kind: 'folder',
  config: { path: root, csv },
  state: 'ACTIVE',
  acl: ['public'],
  retainRaw: false,
  pipeline: { chunking: { targetChars: 1200, maxChars: 1600 }, piiPolicy: {} },
});
const keyed = () => source({ keyColumn: 'id', titleColumn: 'question' });
const put = (text: string) => writeFile(join(root, 'faq.csv'), text);
const list = async (of: SourceFacts) =>
  (await rows.list(of, { maxEntries: 100, maxBytes: 1e6, signal })).entries;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'anneal-rows-'));
  rows = withRows(
    createFolderSource({ roots: [root] }),
    createRowSplitter((entry, data) => startThread(entry, { data, env: {} })),
  );
  await put('id,question,answer\nA,How?,So\nB,When?,Now\n');
  await writeFile(join(root, 'note.md'), '# note');
});
afterEach(() => rm(root, { recursive: true, force: true }));

describe('a folder with tables', () => {
  it('is a document per row where the source names a key column, and a document per file elsewhere', async () => {
    expect((await list(keyed())).map(({ naturalKey }) => naturalKey)).toEqual([
      'faq.csv#A',
      'faq.csv#B',
      'note.md',
    ]);
    expect((await list(source({}))).map(({ naturalKey }) => naturalKey)).toEqual([
      'faq.csv',
      'note.md',
    ]);
    const row = await rows.read(keyed(), 'faq.csv#A', signal);
    expect(row).toMatchObject({ name: 'How?', mediaType: 'text/plain' });
    expect(Buffer.from(row?.bytes ?? []).toString()).toBe('question: How?\nanswer: So');
    expect((await rows.read(keyed(), 'note.md', signal))?.name).toBe('note.md');
    expect(await rows.read(keyed(), 'faq.csv#Z', signal)).toBeUndefined();
  });

  it('changes the token of the edited row alone, wherever rows move', async () => {
    const tokens = async () =>
      new Map((await list(keyed())).map(({ naturalKey, token }) => [naturalKey, token]));
    const before = await tokens();
    await put('id,question,answer\nB,When?,Later\nA,How?,So\n');
    const after = await tokens();
    expect(after.get('faq.csv#A')).toBe(before.get('faq.csv#A'));
    expect(after.get('faq.csv#B')).not.toBe(before.get('faq.csv#B'));
    const read = await rows.read(keyed(), 'faq.csv#B', signal);
    expect(read?.token).toBe(after.get('faq.csv#B'));
  });

  it('names rows that cannot be read by line, and keeps the others', async () => {
    await put('id,question,answer\nA,How?,So\nB,When?\nA,Twice?,No\n,None?,No\n');
    expect((await list(keyed())).map(({ naturalKey }) => naturalKey)).toEqual([
      'faq.csv#A',
      'faq.csv#line 3',
      'faq.csv#line 4',
      'faq.csv#line 5',
      'note.md',
    ]);
    for (const [line, detail] of [
      [3, 'ragged'],
      [4, 'duplicate_key'],
      [5, 'no_key'],
    ] as const)
      await expect(rows.read(keyed(), `faq.csv#line ${line}`, signal)).rejects.toMatchObject({
        code: 'DOCUMENT_REFUSED',
        extensions: { reason: 'parse_failed', evidence: { detail, line } },
      });
  });

  it('keeps a table without the column as one document whose reading says so', async () => {
    const wrong = source({ keyColumn: 'sku' });
    expect((await list(wrong))[0]?.naturalKey).toBe('faq.csv');
    await expect(rows.read(wrong, 'faq.csv', signal)).rejects.toMatchObject({
      code: 'DOCUMENT_REFUSED',
      extensions: { reason: 'parse_failed', evidence: { detail: 'csv_column' } },
    });
  });
});
