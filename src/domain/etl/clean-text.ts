// What nobody sees but an embedder, a search or a reader's screen would: zero-width and bidi controls, the byte order
// mark, tag characters (they carry hidden instructions) and NUL, which no text column holds.
const INVISIBLE =
  /[\0\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff]|\u{e0001}|[\u{e0020}-\u{e007f}]/gu;
const NOT_PLAIN = /[^\n\t\x20-\x7e]/;
const TRAILING_SPACE = /[^\S\n](?:\n|$)/;

/** Text with `\n` as its only line end. */
export const unixLines = (text: string): string =>
  text.includes('\r') ? text.replaceAll('\r\n', '\n').replaceAll('\r', '\n') : text;

/**
 * Cleans text that is prose: NFC, LF, no zero-width, bidi-override or tag characters, no trailing space, at most two
 * blank lines in a row, no lone surrogate. Idempotent.
 */
export function cleanText(text: string): string {
  let clean = text;
  if (NOT_PLAIN.test(clean))
    clean = unixLines(clean).toWellFormed().replace(INVISIBLE, '').normalize('NFC');
  if (TRAILING_SPACE.test(clean))
    clean = clean
      .split('\n')
      .map((line) => line.trimEnd())
      .join('\n');
  return clean.includes('\n\n\n\n') ? clean.replace(/\n{4,}/g, '\n\n\n') : clean;
}

/** Code stays as it is, but for what cannot be stored: a lone surrogate or NUL becomes U+FFFD. */
export const cleanCode = (text: string): string => text.toWellFormed().replaceAll('\0', '\ufffd');
