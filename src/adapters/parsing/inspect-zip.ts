import { inflateRawSync } from 'node:zlib';
import type { ParseLimits } from '../../domain/etl/parser.js';
import { ParseRefusal } from './parse-refusal.js';

const END_OF_DIRECTORY = 0x06054b50;
const DIRECTORY_ENTRY = 0x02014b50;
const LOCAL_ENTRY = 0x04034b50;
const END_BYTES = 22;
const ENTRY_BYTES = 46;
const LOCAL_BYTES = 30;
const MAX_COMMENT = 65_535;
const ENCRYPTED_FLAG = 1;
const STORED = 0;
const DEFLATED = 8;
/** Values that send a reader to the records of ZIP64 (APPNOTE 4.4.1.4), which this check does not read. */
const ESCAPE_16 = 0xffff;
const ESCAPE_32 = 0xffff_ffff;
/** Extra field that gives an entry another name (APPNOTE 4.6.9): version and CRC before it. */
const UNICODE_PATH = 0x7075;
const UNICODE_PATH_HEAD = 5;
const FILE_TYPE = 0o170_000;
const SYMBOLIC_LINK = 0o120_000;
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

const broken = (detail = 'zip'): ParseRefusal => new ParseRefusal('parse_failed', { detail });
const over = (limit: string, value: number): ParseRefusal =>
  new ParseRefusal('parse_limit', { limit, value });

function findEnd(zip: Buffer): number {
  const lowest = Math.max(0, zip.length - END_BYTES - MAX_COMMENT);
  for (let at = zip.length - END_BYTES; at >= lowest; at--)
    if (zip.readUInt32LE(at) === END_OF_DIRECTORY) return at;
  throw broken();
}

/** Where the directory is and how much it says it holds: the one reading that every reader agrees on. */
function directoryOf(zip: Buffer): { count: number; start: number; end: number } {
  const end = findEnd(zip);
  const [disk, startDisk] = [zip.readUInt16LE(end + 4), zip.readUInt16LE(end + 6)];
  const [here, count] = [zip.readUInt16LE(end + 8), zip.readUInt16LE(end + 10)];
  const [size, start] = [zip.readUInt32LE(end + 12), zip.readUInt32LE(end + 16)];
  const isZip64 = [disk, startDisk, here, count].includes(ESCAPE_16);
  if (isZip64 || size === ESCAPE_32 || start === ESCAPE_32) throw broken('zip64');
  // Bytes before or behind the directory move it for some readers and not for others.
  if (disk !== 0 || startDisk !== 0 || here !== count || start + size !== end)
    throw broken('zip_directory');
  return { count, start, end };
}

/** A name that leads out of the archive, or that readers turn into another one. */
function isUnsafeName(name: string): boolean {
  const parts = name.replace(/\/$/, '').split(/[/\\]/);
  return (
    /^[a-z]:/i.test(name) || name.includes('\0') || parts.some((part) => /^\.{0,2}$/.test(part))
  );
}

/** Whether every name in an extra field is the entry's own: readers may take one of them instead. */
function isNamed(extra: Buffer, name: Buffer): boolean {
  for (let at = 0; at + 4 <= extra.length;) {
    const end = at + 4 + extra.readUInt16LE(at + 2);
    const other = extra.subarray(at + 4 + UNICODE_PATH_HEAD, end);
    if (extra.readUInt16LE(at) === UNICODE_PATH && (end > extra.length || !other.equals(name)))
      return false;
    at = end;
  }
  return true;
}

/** Which name an entry has: the same one wherever the archive gives it. */
function nameOf(zip: Buffer, entry: { at: number; name: Buffer; extra: Buffer }): string {
  const { at } = entry;
  if (at + LOCAL_BYTES > zip.length || zip.readUInt32LE(at) !== LOCAL_ENTRY) throw broken();
  const start = at + LOCAL_BYTES;
  const local = zip.subarray(start, start + zip.readUInt16LE(at + 26));
  const name = entry.name.toString('utf8');
  const isOne = entry.name.equals(local) && isNamed(entry.extra, entry.name);
  if (!isOne || isUnsafeName(name)) throw broken('zip_name');
  return name;
}

function entryAt(zip: Buffer, at: number): Entry & { next: number } {
  if (at + ENTRY_BYTES > zip.length || zip.readUInt32LE(at) !== DIRECTORY_ENTRY)
    throw broken('zip_directory');
  if ((zip.readUInt16LE(at + 8) & ENCRYPTED_FLAG) !== 0)
    throw new ParseRefusal('encrypted', { detail: 'zip' });
  if (((zip.readUInt32LE(at + 38) >>> 16) & FILE_TYPE) === SYMBOLIC_LINK) throw broken('zip_link');
  const sizes = { packed: zip.readUInt32LE(at + 20), unpacked: zip.readUInt32LE(at + 24) };
  const local = zip.readUInt32LE(at + 42);
  const disk = zip.readUInt16LE(at + 34);
  if (disk === ESCAPE_16 || Object.values({ ...sizes, local }).includes(ESCAPE_32))
    throw broken('zip64');
  if (disk !== 0) throw broken('zip_directory');
  const extraAt = at + ENTRY_BYTES + zip.readUInt16LE(at + 28);
  const commentAt = extraAt + zip.readUInt16LE(at + 30);
  const name = zip.subarray(at + ENTRY_BYTES, extraAt);
  const extra = zip.subarray(extraAt, commentAt);
  return {
    ...sizes,
    name: nameOf(zip, { at: local, name, extra }),
    method: zip.readUInt16LE(at + 10),
    at: local,
    next: commentAt + zip.readUInt16LE(at + 32),
  };
}

/**
 * The entries of the directory. The library behind this check reads on while entries follow, keeps the later of two with
 * one name, and knows ZIP64: what it would see otherwise than the directory says is refused here.
 */
function entriesOf(zip: Buffer, limits: ArchiveLimits): Entry[] {
  const { count, start, end } = directoryOf(zip);
  if (count > limits.archiveEntries) throw over('archive_entries', count);
  const entries = new Map<string, Entry>();
  let at = start;
  for (let index = 0; index < count; index++) {
    const entry = entryAt(zip, at);
    if (entries.has(entry.name)) throw broken('zip_duplicate');
    entries.set(entry.name, entry);
    at = entry.next;
  }
  if (at !== end) throw broken('zip_directory');
  return [...entries.values()];
}

/** The bytes of an entry, never more than `limit`: what an archive says of its sizes may be a lie. */
function inflate(zip: Buffer, entry: Entry, limit: number): Buffer {
  const lengths = zip.readUInt16LE(entry.at + 26) + zip.readUInt16LE(entry.at + 28);
  const start = entry.at + LOCAL_BYTES + lengths;
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
  const entries = entriesOf(zip, limits);
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
