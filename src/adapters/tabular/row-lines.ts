import { pipeline, Readable } from 'node:stream';
import { createGunzip, createGzip } from 'node:zlib';
import type { FieldValue } from '../../domain/datasets/field-check.js';
import type { StoredRow } from '../../domain/datasets/staging.js';

const BLOCK_LINES = 512;

/** A stored row as one line of JSON. It begins with the digest, so that sorting lines sorts rows by digest. */
export const formatRow = (row: StoredRow): string =>
  JSON.stringify([row.rowDigest.slice('sha256:'.length), row.subjectToken, row.values]);

/** Digest of a formatted row, without parsing it: 64 hex digits. */
export const digestOfLine = (line: string): string => line.slice(2, 66);

/** Parses a line of {@link formatRow}; lines come from the store alone, so their form is trusted. */
export function parseRow(line: string): StoredRow {
  const [hex, subjectToken, values] = JSON.parse(line) as [string, string | null, FieldValue[]];
  return { rowDigest: `sha256:${hex}`, subjectToken, values };
}

function* blocksOf(lines: readonly string[]): Generator<string> {
  for (let at = 0; at < lines.length; at += BLOCK_LINES)
    yield `${lines.slice(at, at + BLOCK_LINES).join('\n')}\n`;
}

/** Lines as gzip. Equal lines give equal bytes: the header carries no time and no name. */
export function gzipLines(lines: readonly string[]): AsyncIterable<Uint8Array> {
  const gzip = createGzip({ level: 5 });
  // A failure destroys the stream, and whoever reads it gets the error.
  pipeline(Readable.from(blocksOf(lines)), gzip, () => undefined);
  return gzip;
}

/** Lines of a gzip stream, some at a time. */
export async function* gunzipLines(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<string[]> {
  const gunzip = createGunzip();
  pipeline(Readable.from(bytes), gunzip, () => undefined);
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  let rest = '';
  for await (const chunk of gunzip as AsyncIterable<Uint8Array>) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n');
    rest = lines.pop() ?? '';
    if (lines.length > 0) yield lines;
  }
  if (rest !== '') yield [rest];
}
