import { inflateRawSync } from 'node:zlib';
import type { ParseLimits } from '../../domain/etl/parser.js';
import { ParseRefusal } from './parse-refusal.js';

const END_OF_DIRECTORY = 0x06054b50;
const DIRECTORY_ENTRY = 0x02014b50;
const LOCAL_ENTRY = 0x04034b50;
const END_BYTES = 22;
const MAX_COMMENT = 65_535;
const ENCRYPTED_FLAG = 1;
const STORED = 0;
const DEFLATED = 8;
/** Below this size no ratio is suspicious: a page of equal table cells packs well. */
const RATIO_FROM_BYTES = 4 * 2 ** 20;

type ArchiveLimits = Pick<ParseLimits, 'archiveEntries' | 'archiveBytes' | 'archiveRatio'>;

interface Entry {
  name: string;
  method: number;
  packed: number;
  unpacked: number;
  at: number;
}

const broken = (): ParseRefusal => new ParseRefusal('parse_failed', { detail: 'zip' });
const over = (limit: string, value: number): ParseRefusal =>
  new ParseRefusal('parse_limit', { limit, value });

function findEnd(zip: Buffer): number {
  const lowest = Math.max(0, zip.length - END_BYTES - MAX_COMMENT);
  for (let at = zip.length - END_BYTES; at >= lowest; at--)
    if (zip.readUInt32LE(at) === END_OF_DIRECTORY) return at;
  throw broken();
}

function* entriesOf(zip: Buffer, limits: ArchiveLimits): Generator<Entry> {
  const end = findEnd(zip);
  const count = zip.readUInt16LE(end + 10);
  if (count > limits.archiveEntries) throw over('archive_entries', count);
  let at = zip.readUInt32LE(end + 16);
  for (let index = 0; index < count; index++) {
    if (at + 46 > zip.length || zip.readUInt32LE(at) !== DIRECTORY_ENTRY) throw broken();
    if ((zip.readUInt16LE(at + 8) & ENCRYPTED_FLAG) !== 0)
      throw new ParseRefusal('encrypted', { detail: 'zip' });
    const nameLength = zip.readUInt16LE(at + 28);
    yield {
      name: zip.toString('utf8', at + 46, at + 46 + nameLength),
      method: zip.readUInt16LE(at + 10),
      packed: zip.readUInt32LE(at + 20),
      unpacked: zip.readUInt32LE(at + 24),
      at: zip.readUInt32LE(at + 42),
    };
    at += 46 + nameLength + zip.readUInt16LE(at + 30) + zip.readUInt16LE(at + 32);
  }
}

/** The bytes of an entry, never more than `limit`: what an archive says of its sizes may be a lie. */
function inflate(zip: Buffer, entry: Entry, limit: number): Buffer {
  if (entry.at + 30 > zip.length || zip.readUInt32LE(entry.at) !== LOCAL_ENTRY) throw broken();
  const start = entry.at + 30 + zip.readUInt16LE(entry.at + 26) + zip.readUInt16LE(entry.at + 28);
  const packed = zip.subarray(start, start + entry.packed);
  if (entry.method === STORED) return packed;
  if (entry.method !== DEFLATED) throw broken();
  try {
    return inflateRawSync(packed, { maxOutputLength: Math.max(1, limit) });
  } catch (error) {
    const isTooLarge = (error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE';
    throw isTooLarge ? over('archive_bytes', limit) : broken();
  }
}

/**
 * Proves that an archive stays within its limits, by its directory and by unpacking each entry once, and returns the
 * entries that were asked for. Nothing is kept of the others.
 * @throws ParseRefusal parse_limit, encrypted, or parse_failed where it is no archive
 */
export function inspectZip(
  bytes: Uint8Array,
  wanted: readonly string[],
  limits: ArchiveLimits,
): Map<string, Buffer> {
  const zip = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (zip.length < END_BYTES) throw broken();
  const entries = [...entriesOf(zip, limits)];
  const declared = entries.reduce((sum, entry) => sum + entry.unpacked, 0);
  const check = (unpacked: number): void => {
    if (unpacked > limits.archiveBytes) throw over('archive_bytes', unpacked);
    if (unpacked > RATIO_FROM_BYTES && unpacked > zip.length * limits.archiveRatio)
      throw over('archive_ratio', Math.floor(unpacked / zip.length));
  };
  check(declared);
  const found = new Map<string, Buffer>();
  let unpacked = 0;
  for (const entry of entries) {
    const content = inflate(zip, entry, limits.archiveBytes - unpacked);
    unpacked += content.length;
    check(unpacked);
    if (wanted.includes(entry.name)) found.set(entry.name, content);
  }
  return found;
}
