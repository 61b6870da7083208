import type { Data, RecordBatch, Schema, Table, Utf8, Vector } from 'apache-arrow';
import type { SinkRow } from '../../domain/etl/vector-sink.js';
import type { ArrowModule } from './load-lancedb.js';

/** A row's metadata as tokens, so that a list index answers equality of any field. */
export const metadataTokens = (
  metadata: Readonly<Record<string, string | number | boolean>>,
): string[] =>
  Object.entries(metadata)
    .map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`)
    .sort();

const text = ({ Field, Utf8 }: ArrowModule, name: string) => new Field(name, new Utf8(), false);

const listType = ({ Field, List, Utf8 }: ArrowModule) =>
  new List(new Field('item', new Utf8(), true));

const vectorType = ({ Field, FixedSizeList, Float32 }: ArrowModule, dims: number) =>
  new FixedSizeList(dims, new Field('item', new Float32(), true));

/** The table of a generation. Without dimensions it holds text alone. */
export function rowSchema(arrow: ArrowModule, dims: number): Schema {
  const { Field, Schema } = arrow;
  return new Schema([
    text(arrow, 'rowId'),
    text(arrow, 'docId'),
    text(arrow, 'text'),
    new Field('acl', listType(arrow), false),
    text(arrow, 'accessHash'),
    text(arrow, 'metadata'),
    new Field('tags', listType(arrow), false),
    ...(dims === 0 ? [] : [new Field('vector', vectorType(arrow, dims), false)]),
  ]);
}

/** Columns straight into Arrow's buffers: the builders cost four times as much. */
function texts(arrow: ArrowModule, values: readonly string[]): Data {
  const joined = Buffer.from(values.join(''), 'utf8');
  const valueOffsets = new Int32Array(values.length + 1);
  let at = 0;
  for (const [index, value] of values.entries()) {
    at += Buffer.byteLength(value, 'utf8');
    valueOffsets[index + 1] = at;
  }
  // A low surrogate at the start of one value would pair with a high one before it and shift all that follows.
  if (at !== joined.length)
    return texts(
      arrow,
      values.map((value) => value.toWellFormed()),
    );
  return arrow.makeData({
    type: new arrow.Utf8(),
    length: values.length,
    nullCount: 0,
    valueOffsets,
    data: joined,
  });
}

function lists(arrow: ArrowModule, values: readonly (readonly string[])[]): Data {
  const valueOffsets = new Int32Array(values.length + 1);
  for (const [index, value] of values.entries())
    valueOffsets[index + 1] = (valueOffsets[index] ?? 0) + value.length;
  return arrow.makeData({
    type: listType(arrow),
    length: values.length,
    nullCount: 0,
    valueOffsets,
    child: texts(arrow, values.flat()) as Data<Utf8>,
  });
}

function vectors(arrow: ArrowModule, rows: readonly SinkRow[], dims: number): Data {
  const flat = new Float32Array(rows.length * dims);
  for (const [index, row] of rows.entries()) flat.set(row.vector, index * dims);
  const type = new arrow.Float32();
  const child = arrow.makeData({ type, length: flat.length, nullCount: 0, data: flat });
  return arrow.makeData({
    type: vectorType(arrow, dims),
    length: rows.length,
    nullCount: 0,
    child,
  });
}

function table(arrow: ArrowModule, schema: Schema, children: Data[]): Table {
  const length = children[0]?.length ?? 0;
  const type = new arrow.Struct(schema.fields);
  const data = arrow.makeData({ type, length, nullCount: 0, children });
  return new arrow.Table([new arrow.RecordBatch(schema, data)]);
}

/** Rows as typed Arrow over one flat Float32Array; the caller has checked the dimensions. */
export function rowsToArrow(arrow: ArrowModule, rows: readonly SinkRow[], dims: number): Table {
  return table(arrow, rowSchema(arrow, dims), [
    texts(
      arrow,
      rows.map((row) => row.rowId),
    ),
    texts(
      arrow,
      rows.map((row) => row.docId),
    ),
    texts(
      arrow,
      rows.map((row) => row.text),
    ),
    lists(
      arrow,
      rows.map((row) => row.acl),
    ),
    texts(
      arrow,
      rows.map((row) => row.accessHash),
    ),
    texts(
      arrow,
      rows.map((row) => JSON.stringify(row.metadata)),
    ),
    lists(
      arrow,
      rows.map((row) => metadataTokens(row.metadata)),
    ),
    ...(dims === 0 ? [] : [vectors(arrow, rows, dims)]),
  ]);
}

/** The strings of a column of a result. */
export function* stringsOf(batch: RecordBatch | Table, name: string): Generator<string> {
  const column: Vector | null = batch.getChild(name);
  if (column === null) return;
  for (let at = 0; at < column.length; at += 1) yield String(column.get(at));
}

/** The numbers of a column of a result. */
export const numbersOf = (batch: RecordBatch | Table, name: string): number[] =>
  Array.from<unknown, number>(batch.getChild(name) ?? [], Number);

/** The 64-bit integers of a column of a result. */
export const bigintsOf = (batch: RecordBatch | Table, name: string): bigint[] =>
  Array.from<unknown, bigint>(batch.getChild(name) ?? [], (value) => BigInt(value as bigint));

/** Rows of a result that has all columns of {@link rowSchema}. */
export function rowsFromArrow(batch: Table): SinkRow[] {
  const column = (name: string) => [...stringsOf(batch, name)];
  const docIds = column('docId');
  const bodies = column('text');
  const hashes = column('accessHash');
  const metadata = column('metadata');
  const acls: Vector | null = batch.getChild('acl');
  const embedded: Vector | null = batch.getChild('vector');
  return column('rowId').map((rowId, at) => ({
    rowId,
    docId: docIds[at] ?? '',
    vector: Float32Array.from((embedded?.get(at) as Iterable<number> | undefined) ?? []),
    text: bodies[at] ?? '',
    acl: Array.from((acls?.get(at) as Iterable<unknown> | null) ?? [], String),
    accessHash: hashes[at] ?? '',
    metadata: JSON.parse(metadata[at] ?? '{}') as SinkRow['metadata'],
  }));
}
