import { gzipSync } from 'node:zlib';
import { parquetWriteBuffer } from 'hyparquet-writer';
import { readParts, readQuarantine } from '../../src/adapters/tabular/read-part.js';
import { inspectTable, readTable } from '../../src/adapters/tabular/read-table.js';
import type { TableSource } from '../../src/adapters/tabular/table-reader.js';
import type { ArtifactStore } from '../../src/domain/artifacts.js';
import type { RejectedRow, StageResult, StoredRow } from '../../src/domain/datasets/staging.js';
import { chunked, contractOf, formatOf, publishOf, stageOf, withStore } from './stage-table.js';

const contract = contractOf({
  fields: [
    { name: 'id', type: 'string', personal: 'identifier' },
    { name: 'amount', type: 'number', min: 0 },
    { name: 'term', type: 'integer', nullable: true },
    { name: 'city', type: 'categorical' },
    { name: 'since', type: 'timestamp' },
    { name: 'owner', type: 'boolean' },
    { name: 'outcome', type: 'categorical', enum: ['good', 'bad'] },
  ],
  label: { field: 'outcome', positive: 'bad', map: { '1': 'good', '2': 'bad' } },
  subjectKeyField: 'id',
});

const rows = Array.from({ length: 2_500 }, (_, i) => ({
  id: `c-${i}`,
  amount: (i % 997) / 4,
  term: i % 5 === 0 ? null : i % 60,
  city: ['Zürich', 'Łódź', 'O"Neill, NY', '東京'][i % 4] ?? '',
  since: new Date(Date.UTC(2020, 0, 1) + i * 61_001).toISOString(),
  owner: i % 3 === 0,
  outcome: i % 7 === 0 ? 2 : 1,
}));

const quote = (text: string) => (/[",]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
const header = Object.keys(rows[0] ?? {}).join(',');
const csv = [
  header,
  ...rows.map((row) =>
    Object.values(row)
      .map((value) => quote(value === null ? '' : String(value)))
      .join(','),
  ),
].join('\r\n');
const jsonl = rows.map((row) => JSON.stringify(row)).join('\n');

function parquet(options: { rowGroupSize: number; offsetIndex: boolean }): Uint8Array {
  const column = (
    name: keyof (typeof rows)[0],
    type: 'STRING' | 'DOUBLE' | 'INT32' | 'BOOLEAN',
  ) => ({
    name,
    type,
    data: rows.map((row) => row[name]),
    nullable: true,
    offsetIndex: options.offsetIndex,
  });
  const since = {
    name: 'since',
    type: 'TIMESTAMP' as const,
    data: rows.map((row) => new Date(row.since)),
    offsetIndex: options.offsetIndex,
  };
  const columnData = [
    column('outcome', 'INT32'),
    column('city', 'STRING'),
    column('id', 'STRING'),
    column('amount', 'DOUBLE'),
    {
      ...column('term', 'INT32'),
      type: 'INT64' as const,
      data: rows.map(({ term }) => (term === null ? null : BigInt(term))),
    },
    since,
    column('owner', 'BOOLEAN'),
  ];
  const { rowGroupSize } = options;
  const compressors = { GZIP: (bytes: Uint8Array) => new Uint8Array(gzipSync(bytes)) };
  const codec = options.offsetIndex ? 'SNAPPY' : 'GZIP';
  return new Uint8Array(parquetWriteBuffer({ columnData, rowGroupSize, codec, compressors }));
}

const csvFormat = formatOf({ format: 'csv' });
const input = { contract, format: csvFormat };

async function rejectedOf(store: ArtifactStore, staged: StageResult): Promise<RejectedRow[]> {
  const found: RejectedRow[] = [];
  for (const { ref } of staged.quarantine) {
    for await (const batch of readQuarantine(store, ref)) found.push(...batch);
  }
  return found;
}

/** A file of two columns and what became of it. */
const small = contractOf({
  fields: [
    { name: 'x', type: 'string' },
    { name: 'y', type: 'categorical', enum: ['a', 'b'] },
  ],
  label: { field: 'y', positive: 'a' },
});

const stageSmall = (bytes: Uint8Array | string, format: object = {}, body = small) =>
  withStore(async (store) => {
    const csvOf = formatOf({ format: 'csv', ...format });
    const published = await publishOf(store, bytes, { contract: body, format: csvOf });
    const kept: StoredRow[] = [];
    for await (const batch of readParts(store, published.parts)) kept.push(...batch);
    const rejected = await rejectedOf(store, published);
    return {
      kept: kept.map(({ values }) => values.map(String).join('|')).sort(),
      rejected: rejected.map((row) => [row.row, row.violations[0]?.rule]),
      published,
    };
  });

const refusal = async (action: Promise<unknown>): Promise<unknown> =>
  action.then(
    () => 'not refused',
    (error: unknown) => error,
  );

describe('one table in three formats', () => {
  it('is one snapshot: CSV, JSON lines and Parquet, with and without an offset index', () =>
    withStore(async (store) => {
      const fromCsv = await publishOf(store, csv, input);
      expect(fromCsv).toMatchObject({ total: 2_500, rejected: 0, rows: 2_500 });
      const json = formatOf({ format: 'jsonl' });
      const fromJson = await publishOf(store, jsonl, { contract, format: json });
      expect(fromJson.snapshotId).toBe(fromCsv.snapshotId);
      const format = formatOf({ format: 'parquet' });
      for (const options of [
        { rowGroupSize: 700, offsetIndex: true },
        { rowGroupSize: 2_500, offsetIndex: false },
      ]) {
        const fromParquet = await publishOf(store, parquet(options), { contract, format });
        expect(fromParquet.rejected).toBe(0);
        expect(fromParquet.parts).toEqual(fromCsv.parts);
        expect(fromParquet.snapshotId).toBe(fromCsv.snapshotId);
      }
    }));

  it('stores no raw identifier, and a token of the subject beside every row', () =>
    withStore(async (store) => {
      const { parts, profileRef } = await publishOf(store, csv, input);
      const kept: StoredRow[] = [];
      for await (const batch of readParts(store, parts)) kept.push(...batch);
      expect(kept.every(({ subjectToken, values }) => subjectToken === values[0])).toBe(true);
      expect(kept.every(({ subjectToken }) => subjectToken?.startsWith('p1_'))).toBe(true);
      let profile = '';
      for await (const chunk of store.openStream(profileRef))
        profile += Buffer.from(chunk).toString();
      expect(JSON.stringify(kept) + profile).not.toMatch(/c-\d/);
      const pii = { fields: ['id'], action: 'keep' as const };
      const asked = await publishOf(store, csv, { ...input, pii });
      expect(asked.snapshotId).toBe((await publishOf(store, csv, input)).snapshotId);
      const dropped = await publishOf(store, csv, { ...input, pii: { ...pii, action: 'drop' } });
      for await (const [row] of readParts(store, dropped.parts)) {
        expect(row?.values[0]).toBeNull();
        expect(row?.subjectToken).toMatch(/^p1_/);
      }
    }));

  it('leaves out subjects without consent and keeps nothing of their rows', () =>
    withStore(async (store) => {
      const staged = await stageOf(store, csv, { ...input, requireConsent: true });
      expect(staged).toMatchObject({ valid: 0, rejected: 0, withoutConsent: 2_500 });
      const [first] = await rejectedOf(store, staged);
      expect(first).toEqual({
        row: 1,
        violations: [
          { field: '', rule: 'consent', detail: 'the subject has not granted every purpose' },
        ],
      });
    }));
});

describe('CSV', () => {
  it('trims unquoted cells, keeps quoted ones, and reads a byte order mark and both line ends', async () => {
    const text = '\ufeffx,y\r\n  plain  , a \n"  quoted  ",b\r\n"two\nlines", a\n';
    expect((await stageSmall(text)).kept).toEqual(['  quoted  |b', 'plain|a', 'two\nlines|a']);
    const untrimmed = await stageSmall('x,y\n  plain  ,a\nq, a\n', { trim: false });
    expect(untrimmed.kept).toEqual(['  plain  |a']);
    expect(untrimmed.rejected).toEqual([[2, 'enum']]);
  });

  it('rejects ragged rows by number and keeps the others', async () => {
    const { kept, rejected } = await stageSmall('x,y\n1,a\n2\n3,a,b\n\n4,b\n');
    expect(kept).toEqual(['1|a', '4|b']);
    expect(rejected).toEqual([
      [2, 'ragged'],
      [3, 'ragged'],
    ]);
  });

  it('rejects a row whose bytes are not UTF-8 and one with a stray quote, and nothing else', async () => {
    const text = Buffer.concat([
      Buffer.from('x,y\ngut,a\nsch'),
      Buffer.from([0xf6]),
      Buffer.from('n,a\nschön,a\nin"side,b\n\ufffd,b\n'),
    ]);
    const { kept, rejected } = await stageSmall(text);
    expect(kept).toEqual(['gut|a', 'schön|a', '\ufffd|b']);
    expect(rejected).toEqual([
      [2, 'encoding'],
      [4, 'unparseable'],
    ]);
  });

  it('takes null tokens after trimming and treats an empty cell as missing', async () => {
    const { kept, rejected } = await stageSmall('x,y\n ? ,a\n,a\n"?",a\nok,b\n', {
      nullTokens: ['?'],
    });
    expect(kept).toEqual(['ok|b']);
    expect(rejected.map(([, rule]) => rule)).toEqual(['missing', 'missing', 'missing']);
  });

  it('maps columns by header, in any order, and lists those it does not read', async () => {
    const { kept, published } = await stageSmall('z,y,x\n9,a,1\n');
    expect(kept).toEqual(['1|a']);
    expect(published.ignoredColumns).toEqual(['z']);
  });

  it.each([
    ['a wrong delimiter under a header', { bytes: 'x;y\n1;a\n', message: /probably ";"/ }],
    [
      'a wrong delimiter without one',
      { bytes: '1;a\n2;b\n', header: false, message: /probably ";"/ },
    ],
    ['a missing label column', { bytes: 'x,z\n1,a\n', message: /no column y/ }],
    ['a header that repeats a column', { bytes: 'x,y,x\n1,a,2\n', message: /x more than once/ }],
    [
      'rows that all have another width',
      { bytes: '1,a,3\n2,b,3\n', header: false, message: /No row fits/ },
    ],
    [
      'a quote that is never closed',
      { bytes: 'x,y\n1,a\n"2,b\n3,a\n', message: /Row 2 opens a quote/ },
    ],
    [
      'text after a closing quote',
      { bytes: 'x,y\n"1"2,a\n3,b\n', message: /Row 1 has text after/ },
    ],
    ['UTF-16', { bytes: Buffer.from('\ufeffx,y\n1,a\n', 'utf16le'), message: /UTF-16/ }],
  ])('refuses %s with DATASET_UNREADABLE', async (_, { bytes, message, ...format }) => {
    expect(await refusal(stageSmall(bytes, format))).toMatchObject({
      code: 'DATASET_UNREADABLE',
      message: expect.stringMatching(message) as string,
    });
  });

  it('names each missing column by pointer', async () => {
    expect(await refusal(stageSmall('z,w\n1,a\n'))).toMatchObject({
      errors: [{ pointer: '/columns/x' }, { pointer: '/columns/y' }],
    });
  });

  it('refuses a file without data rows with DATASET_EMPTY, with and without a header', async () => {
    for (const text of ['', 'x,y\n', '\ufeff', '\n\n'])
      expect(await refusal(stageSmall(text, { header: text === 'x,y\n' }))).toMatchObject({
        code: 'DATASET_EMPTY',
      });
  });

  it('refuses to publish when no row is valid', async () => {
    expect(await refusal(stageSmall('x,y\n1,c\n'))).toMatchObject({ code: 'DATASET_EMPTY' });
  });

  it('refuses delimiters that are not one character', () => {
    for (const delimiter of ['', ';;', '"', '\n'])
      expect(() => formatOf({ format: 'csv', delimiter })).toThrow(/one character/);
    expect(formatOf({ format: 'csv', delimiter: '§' }).delimiter).toBe('§');
  });

  it('reads cells that a delimiter beyond ASCII separates', async () => {
    expect((await stageSmall('x§y\nä§a\n', { delimiter: '§' })).kept).toEqual(['ä|a']);
  });

  it('refuses a source whose digest is another than named', () =>
    withStore(async (store) => {
      const { ref } = await store.put({ tenantId: 'default', body: chunked('x,y\n1,a\n') });
      const digest = `sha256:${'0'.repeat(64)}`;
      const source = { ref, digest };
      const staged = stageOf(store, 'x,y\n1,a\n', { contract: small, format: csvFormat, source });
      expect(await refusal(staged)).toMatchObject({ code: 'SOURCE_DIGEST_MISMATCH' });
    }));
});

describe('JSON lines and Parquet', () => {
  it('rejects lines that are no objects by number and refuses a file of them', async () => {
    const text = '{"x":"1","y":"a"}\n\nnot json\n[1]\n{"x":"2","y":"b"}';
    const { kept, rejected } = await stageSmall(text, { format: 'jsonl' });
    expect(kept).toEqual(['1|a', '2|b']);
    expect(rejected).toEqual([
      [2, 'unparseable'],
      [3, 'unparseable'],
    ]);
    expect(await refusal(stageSmall('x,y\n1,a\n', { format: 'jsonl' }))).toMatchObject({
      code: 'DATASET_UNREADABLE',
    });
    const unlabelled = stageSmall('{"x":"1"}\n{"x":"2"}', { format: 'jsonl' });
    expect(await refusal(unlabelled)).toMatchObject({ errors: [{ pointer: '/columns/y' }] });
  });

  it.each([
    ['bytes that are no Parquet', Buffer.from('x,y\n1,a\n')],
    ['a file cut short', parquet({ rowGroupSize: 500, offsetIndex: true }).slice(0, 4_000)],
    ['an empty file', Buffer.alloc(0)],
  ])('refuses %s with DATASET_UNREADABLE', async (_, bytes) => {
    expect(await refusal(stageSmall(bytes, { format: 'parquet' }))).toMatchObject({
      code: 'DATASET_UNREADABLE',
    });
  });
});

describe('Parquet with one large row group', () => {
  it.each([true, false])(
    'gives every row once, in order (offset index: %s)',
    async (offsetIndex) => {
      const count = 230_001;
      const x = Array.from({ length: count }, (_, i) => String(i));
      const columnData = [
        { name: 'x', type: 'STRING' as const, data: x, offsetIndex },
        { name: 'y', type: 'STRING' as const, data: x.map(() => 'a'), offsetIndex },
      ];
      const bytes = Buffer.from(parquetWriteBuffer({ columnData, rowGroupSize: count }));
      const source: TableSource = {
        sizeBytes: bytes.length,
        open: () => chunked(bytes),
        readRange: async (start, end) => bytes.subarray(start, end),
      };
      const shape = { contract: small, format: formatOf({ format: 'parquet' }) };
      let next = 0;
      for await (const batch of readTable(source, shape)) {
        const wrong = batch.rows.filter((row) => {
          const at = next++;
          return !('cells' in row) || row.number !== at + 1 || row.cells[0] !== String(at);
        });
        expect(wrong).toEqual([]);
      }
      expect(next).toBe(count);
    },
    30_000,
  );
});

describe('looking at a file before work starts', () => {
  it('stops after the rows it was asked for', async () => {
    let read = 0;
    async function* endless(): AsyncGenerator<Uint8Array> {
      yield Buffer.from('x,y\n');
      for (;;) {
        read++;
        yield Buffer.from('1,a\n2\n'.repeat(2_000));
      }
    }
    const source: TableSource = {
      sizeBytes: 1e9,
      open: endless,
      readRange: () => Promise.reject(new Error('not used')),
    };
    const found = await inspectTable(source, { contract: small, format: csvFormat });
    expect(found.rows).toBe(1_000);
    expect(found.raggedRows.slice(0, 3)).toEqual([2, 4, 6]);
    expect(found.raggedRows).toHaveLength(100);
    expect(read).toBeLessThan(20);
  });
});
