import { unixLines } from '../../domain/etl/clean-text.js';
import { ParseRefusal } from './parse-refusal.js';

const utf8 = new TextDecoder('utf-8');
const strictUtf8 = new TextDecoder('utf-8', { fatal: true });

function encodingOf(bytes: Uint8Array): string {
  if (bytes[0] === 0xff && bytes[1] === 0xfe) return 'utf-16le';
  if (bytes[0] === 0xfe && bytes[1] === 0xff) return 'utf-16be';
  return 'utf-8';
}

/**
 * Bytes as text with `\n` line ends: UTF-16 by its mark, else UTF-8. A byte that is not UTF-8 becomes U+FFFD, so that
 * the gate for mojibake decides.
 * @throws ParseRefusal parse_limit above `textUnits`
 */
export function decodeText(bytes: Uint8Array, textUnits: number): string {
  const encoding = encodingOf(bytes);
  const text = encoding === 'utf-8' ? utf8.decode(bytes) : new TextDecoder(encoding).decode(bytes);
  return limited(text, textUnits);
}

/** Spreadsheets of old still write Windows-1252: what is not UTF-8 is read as that. */
export function decodeCsv(bytes: Uint8Array, textUnits: number): string {
  if (encodingOf(bytes) !== 'utf-8') return decodeText(bytes, textUnits);
  try {
    return limited(strictUtf8.decode(bytes), textUnits);
  } catch (error) {
    if (error instanceof ParseRefusal) throw error;
    return limited(new TextDecoder('windows-1252').decode(bytes), textUnits);
  }
}

function limited(text: string, textUnits: number): string {
  if (text.length > textUnits)
    throw new ParseRefusal('parse_limit', { limit: 'text_units', value: text.length });
  return unixLines(text);
}
