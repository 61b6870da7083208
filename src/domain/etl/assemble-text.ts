import { cleanCode, cleanText } from './clean-text.js';
import type { ParsedBlock, ParsedDocument, RevisionText, TextBlock } from './document.js';

const BETWEEN_BLOCKS = '\n\n';

const cleanBlock = ({ kind, text }: ParsedBlock): string =>
  (kind === 'code' ? cleanCode(text) : cleanText(text)).replace(/^\n+/, '').trimEnd();

const placeOf = ({ kind, level, page, row }: ParsedBlock): Omit<TextBlock, 'start' | 'end'> => ({
  kind,
  ...(level !== undefined && { level }),
  ...(page !== undefined && { page }),
  ...(row !== undefined && { row }),
});

/** A title or a table header is one line. */
const cleanLine = (text: string): string => cleanText(text).replaceAll('\n', ' ').trim();

/**
 * Makes the text of a revision: every block cleaned, then scrubbed, joined by a blank line; `blocks` hold the exact
 * offsets. Blocks without text are left out. Title and table headers are cleaned and scrubbed as well, since both are
 * embedded.
 * @param scrub replaces personal data; called once per block, so a finding never spans two blocks
 */
export function assembleText(
  parsed: Pick<ParsedDocument, 'title' | 'blocks'>,
  scrub: (text: string) => string,
): RevisionText {
  const pieces: string[] = [];
  const blocks: TextBlock[] = [];
  const headers = new Map<string, string>();
  let at = 0;
  for (const block of parsed.blocks) {
    const text = scrub(cleanBlock(block));
    if (text.trim() === '') continue;
    const start = pieces.length === 0 ? 0 : at + BETWEEN_BLOCKS.length;
    at = start + text.length;
    pieces.push(text);
    const placed: TextBlock = { ...placeOf(block), start, end: at };
    if (block.header !== undefined) {
      const header = headers.get(block.header) ?? scrub(cleanLine(block.header));
      headers.set(block.header, header);
      placed.header = header;
    }
    blocks.push(placed);
  }
  return { title: scrub(cleanLine(parsed.title)), text: pieces.join(BETWEEN_BLOCKS), blocks };
}
