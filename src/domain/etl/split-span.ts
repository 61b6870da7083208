/** A part of a text: `text.slice(start, end)`, UTF-16 units. */
export interface Span {
  start: number;
  end: number;
}

const isSpace = (code: number): boolean =>
  code === 32 || (code >= 9 && code <= 13) || code === 0xa0 || code === 0x3000;

const SENTENCE_ENDS: ReadonlySet<number> = new Set([...'.!?…'].map((mark) => mark.charCodeAt(0)));
const WIDE_SENTENCE_ENDS: ReadonlySet<number> = new Set(
  [...'。！？'].map((mark) => mark.charCodeAt(0)),
);

/** Offset after the last sentence end in `text` from `low` on, or −1. A mark counts before a space; a wide one always. */
function lastSentenceEnd(text: string, low: number): number {
  for (let at = text.length - 1; at >= low; at--) {
    const code = text.charCodeAt(at);
    if (WIDE_SENTENCE_ENDS.has(code)) return at + 1;
    if (isSpace(code) && at > 0 && SENTENCE_ENDS.has(text.charCodeAt(at - 1))) return at;
  }
  return -1;
}

function lastSpace(text: string, low: number): number {
  for (let at = text.length - 1; at >= low; at--) if (isSpace(text.charCodeAt(at))) return at;
  return -1;
}

/** Where to cut `piece` (longer than wanted): blank line, line, sentence end, space, code point, in this order. */
function cutOf(piece: string, low: number): number {
  const blankLine = piece.lastIndexOf('\n\n');
  if (blankLine >= low) return blankLine;
  const line = piece.lastIndexOf('\n');
  if (line >= low) return line;
  const sentence = lastSentenceEnd(piece, low);
  if (sentence >= low) return sentence;
  const space = lastSpace(piece, low);
  if (space >= low) return space;
  const last = piece.charCodeAt(piece.length - 1);
  const splitsPair = last >= 0xd800 && last <= 0xdbff;
  return splitsPair && piece.length > 1 ? piece.length - 1 : piece.length;
}

/** Narrows a span to what is not white space at its ends; the indentation of its first line stays after a line end. */
function trimmed(text: string, span: Span): Span {
  let { start, end } = span;
  while (end > start && isSpace(text.charCodeAt(end - 1))) end--;
  const atLineEnd = text.charCodeAt(start) === 10;
  while (start < end && isSpace(text.charCodeAt(start))) {
    if (atLineEnd && text.charCodeAt(start) !== 10) break;
    start++;
  }
  return { start, end };
}

/**
 * Splits a span that is too long into spans of at most `target` units, the last of at most `max`. Nothing but white
 * space lies between them, none overlap, none ends inside a surrogate pair. Linear in the length of the span.
 * @param sizes 2 ≤ target ≤ max, UTF-16 units
 */
export function splitSpan(
  text: string,
  span: Span,
  sizes: { target: number; max: number },
): Span[] {
  const spans: Span[] = [];
  let rest = trimmed(text, span);
  while (rest.end - rest.start > sizes.max) {
    const piece = text.slice(rest.start, rest.start + sizes.target);
    const cut = rest.start + cutOf(piece, Math.max(1, Math.floor(sizes.target / 3)));
    const head = trimmed(text, { start: rest.start, end: cut });
    if (head.end > head.start) spans.push(head);
    rest = trimmed(text, { start: cut, end: rest.end });
  }
  if (rest.end > rest.start) spans.push(rest);
  return spans;
}
