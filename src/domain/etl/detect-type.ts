import { mediaTypeNamed, mediaTypeOfName, type MediaType } from './media-types.js';
import type { ParseRefused } from './parser.js';

/** How many bytes of a document `detectType` looks at. */
export const DETECT_BYTES = 4096;

const DOCX = 'application/vnd.openxmlformats-officedocument.wordprocessingml.document';

const refuse = (reason: ParseRefused['reason'], detail: string): ParseRefused => ({
  reason,
  evidence: { detail },
});

const startsWith = (bytes: Uint8Array, ...magic: number[]): boolean =>
  magic.every((byte, at) => bytes[at] === byte);

/** The bytes as text, one character a byte: enough to look for ASCII marks. */
const asLatin1 = (bytes: Uint8Array): string => String.fromCharCode(...bytes);

/** Whether `%PDF-` occurs; writers may put other bytes before it. */
function holdsPdfMark(head: Uint8Array): boolean {
  for (let at = head.indexOf(0x25); at >= 0; at = head.indexOf(0x25, at + 1))
    if (startsWith(head.subarray(at), 0x25, 0x50, 0x44, 0x46, 0x2d)) return true;
  return false;
}

const HTML_START =
  /^(?:\xef\xbb\xbf)?\s{0,200}(?:<!--.{0,500}?-->\s{0,200})?<(?:!doctype html|html|head|body)[\s>]/is;

/** What the bytes prove by themselves; undefined where they could be several kinds of text. */
function byContent(head: Uint8Array): MediaType | ParseRefused | undefined {
  if (holdsPdfMark(head.subarray(0, 1024))) return 'application/pdf';
  if (startsWith(head, 0x50, 0x4b, 0x03, 0x04)) return DOCX;
  // A password turns an Office document into a compound file; so were the formats before 2007.
  if (startsWith(head, 0xd0, 0xcf, 0x11, 0xe0)) return refuse('parse_failed', 'compound_file');
  const isUtf16 = startsWith(head, 0xff, 0xfe) || startsWith(head, 0xfe, 0xff);
  if (!isUtf16 && head.includes(0)) return refuse('parse_failed', 'binary');
  // Text is turned into a string only where it opens with a tag: most documents do not.
  const first = head.findIndex((byte) => byte > 0x20 && byte < 0x80);
  if (head[first] !== 0x3c) return undefined;
  return HTML_START.test(asLatin1(head)) ? 'text/html' : undefined;
}

const binaryTypes: ReadonlySet<MediaType> = new Set<MediaType>(['application/pdf', DOCX]);

/**
 * The media type of a document: by content, then by the extension of its name, then as declared, else plain text.
 * @param head the first `DETECT_BYTES` bytes, or all where there are fewer
 */
export function detectType(
  head: Uint8Array,
  name: string,
  declared?: string,
): { mediaType: MediaType } | { refused: ParseRefused } {
  const found = byContent(head.subarray(0, DETECT_BYTES));
  if (typeof found === 'string') return { mediaType: found };
  if (found !== undefined) {
    const isLocked = found.evidence['detail'] === 'compound_file' && mediaTypeOfName(name) === DOCX;
    return { refused: isLocked ? refuse('encrypted', 'compound_file') : found };
  }
  const mediaType = mediaTypeOfName(name) ?? mediaTypeNamed(declared) ?? 'text/plain';
  // A name cannot make text a PDF: what would be parsed is not what it claims to be.
  if (binaryTypes.has(mediaType)) return { refused: refuse('parse_failed', 'content_is_not_type') };
  return { mediaType };
}
