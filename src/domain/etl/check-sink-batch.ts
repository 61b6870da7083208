import { PlatformError } from '../errors.js';
import type { GenerationSpec, SinkCaps, SinkRow } from './vector-sink.js';

/** Bytes of a string in UTF-8; a lone surrogate counts as the three bytes of its replacement. */
function utf8Bytes(text: string): number {
  let bytes = 0;
  for (let at = 0; at < text.length; at += 1) {
    const unit = text.charCodeAt(at);
    if (unit < 0x80) bytes += 1;
    else if (unit < 0x800) bytes += 2;
    else if (unit >= 0xd800 && unit < 0xdc00 && isLowSurrogate(text.charCodeAt(at + 1))) {
      bytes += 4;
      at += 1;
    } else bytes += 3;
  }
  return bytes;
}

const isLowSurrogate = (unit: number) => unit >= 0xdc00 && unit < 0xe000;

/** Bytes of a row as `SinkCaps.maxBytes` counts them: vector, text and metadata. */
export const sinkRowBytes = (row: SinkRow): number =>
  row.vector.length * 4 + utf8Bytes(row.text) + utf8Bytes(JSON.stringify(row.metadata));

const refuse = (message: string): never => {
  throw new PlatformError('SINK_REFUSED', message);
};

/** Why a vector cannot be stored in a generation of so many dimensions, or undefined where it can. */
export function vectorFault(vector: Float32Array, dims: number): string | undefined {
  if (vector.length !== dims) return `has ${vector.length} dimensions and not ${dims}`;
  if (dims === 0) return undefined;
  let squares = 0;
  for (const value of vector) squares += value * value;
  if (!Number.isFinite(squares)) return 'holds a value that is not a finite number';
  return squares === 0 ? 'is zero: it has no direction' : undefined;
}

/**
 * Refuses what a store would take in silence, before anything is written: all rows of the batch, or none.
 * @throws SINK_REFUSED naming the limit and the row
 */
export function checkSinkBatch(
  batch: { adds: readonly SinkRow[]; deleteIds: readonly string[] },
  generation: Pick<GenerationSpec, 'dims'>,
  caps: Pick<SinkCaps, 'maxRows' | 'maxBytes' | 'maxMetadataBytes'>,
): void {
  const { adds, deleteIds } = batch;
  if (adds.length + deleteIds.length > caps.maxRows)
    refuse(`A batch has ${adds.length + deleteIds.length} rows; the store takes ${caps.maxRows}.`);
  const seen = new Set<string>();
  let bytes = 0;
  for (const row of adds) {
    if (row.rowId === '') refuse('A row has no id.');
    if (seen.has(row.rowId)) refuse(`Row ${row.rowId} is in the batch twice.`);
    seen.add(row.rowId);
    const fault = vectorFault(row.vector, generation.dims);
    if (fault !== undefined) refuse(`The vector of row ${row.rowId} ${fault}.`);
    const metadata = utf8Bytes(JSON.stringify(row.metadata));
    if (metadata > caps.maxMetadataBytes)
      refuse(
        `Row ${row.rowId} has ${metadata} bytes of metadata; the store takes ${caps.maxMetadataBytes}.`,
      );
    bytes += sinkRowBytes(row);
  }
  if (bytes > caps.maxBytes)
    refuse(`A batch has ${bytes} bytes; the store takes ${caps.maxBytes}.`);
  for (const id of deleteIds)
    if (seen.has(id)) refuse(`Row ${id} is both added and deleted in one batch.`);
}

/** @throws SINK_REFUSED where one row is patched twice */
export function checkSinkPatches(patches: readonly { rowId: string }[]): void {
  const seen = new Set<string>();
  for (const { rowId } of patches) {
    if (seen.has(rowId)) refuse(`Row ${rowId} is patched twice.`);
    seen.add(rowId);
  }
}

/** Best first; equal scores by `rowId`, so that the order does not depend on how rows were batched. */
export const byScore = (
  a: { score: number; rowId: string },
  b: { score: number; rowId: string },
): number => b.score - a.score || (a.rowId < b.rowId ? -1 : a.rowId > b.rowId ? 1 : 0);

/** First and last hexadecimal digit of the row ids of a slice. */
export function sliceDigits(slice: { index: number; of: number }): [string, string] {
  const width = 16 / slice.of;
  const first = slice.index * width;
  return [first.toString(16), (first + width - 1).toString(16)];
}
