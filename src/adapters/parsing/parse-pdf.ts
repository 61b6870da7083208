import { appendFileSync, existsSync, readFileSync, truncateSync } from 'node:fs';
import { getDocumentProxy } from 'unpdf';
import type { ParsedBlock } from '../../domain/etl/document.js';
import { ParseRefusal } from './parse-refusal.js';
import type { Parsed } from './parse-text.js';

const PAGES_A_RANGE = 20;
/** A wider gap than this many line heights parts two paragraphs. */
const PARAGRAPH_GAP = 1.6;

type Pdf = Awaited<ReturnType<typeof getDocumentProxy>>;

/** How far a PDF is: the parent grants time per page, and a new child goes on where the last one ended. */
export interface PdfProgress {
  /** File to which finished ranges of pages are appended; it outlives the child. */
  pagesFile: string;
  onPages: (pages: number, done: number) => void;
  textUnits: number;
}

interface TextItem {
  str: string;
  transform: number[];
  height: number;
  hasEOL: boolean;
}

/** Paragraphs of a page: lines joined by a space, parted where the gap between two lines is wide. */
export function paragraphsOf(items: readonly TextItem[]): string[] {
  const paragraphs: string[] = [];
  let lines: string[] = [];
  let line = '';
  let lastY: number | undefined;
  let y = 0;
  let height = 0;
  const endLine = (): void => {
    if (line.trim() === '') return;
    const gap = lastY === undefined ? 0 : lastY - y;
    // Text that goes back up is a new column.
    if (lines.length > 0 && (gap > height * PARAGRAPH_GAP || gap < -height)) {
      paragraphs.push(lines.join(' '));
      lines = [];
    }
    lines.push(line.trim());
    lastY = y;
    line = '';
  };
  for (const item of items) {
    const itemY = item.transform[5] ?? 0;
    if (item.str.trim() !== '') {
      const isNewLine = line !== '' && Math.abs(itemY - y) > Math.max(height, item.height) / 2;
      if (isNewLine) endLine();
      y = itemY;
      height = item.height || height;
    }
    line += item.str;
    if (item.hasEOL) endLine();
  }
  endLine();
  if (lines.length > 0) paragraphs.push(lines.join(' '));
  return paragraphs;
}

async function open(bytes: Uint8Array): Promise<Pdf> {
  try {
    return await getDocumentProxy(bytes, { verbosity: 0 });
  } catch (error) {
    const name = error instanceof Error ? error.name : '';
    if (name === 'PasswordException') throw new ParseRefusal('encrypted', { detail: 'pdf' });
    throw new ParseRefusal('parse_failed', { detail: 'pdf' });
  }
}

async function readPage(pdf: Pdf, number: number): Promise<string[]> {
  const page = await pdf.getPage(number);
  const { items } = await page.getTextContent();
  page.cleanup();
  return paragraphsOf(
    items.filter((item): item is (typeof items)[number] & TextItem => 'str' in item),
  );
}

/** Pages that an earlier child finished; a range that it was writing when it died is dropped. */
function finishedPages(file: string): string[][] {
  if (!existsSync(file)) return [];
  const content = readFileSync(file);
  const whole = content.lastIndexOf(10) + 1;
  if (whole < content.length) truncateSync(file, whole);
  return content
    .toString('utf8', 0, whole)
    .split('\n')
    .filter((line) => line !== '')
    .flatMap((line) => JSON.parse(line) as string[][]);
}

async function titleOf(pdf: Pdf): Promise<string | undefined> {
  const info = (await pdf.getMetadata()).info as { Title?: unknown };
  return typeof info.Title === 'string' && info.Title.trim() !== '' ? info.Title.trim() : undefined;
}

/**
 * PDF: paragraphs per page. Finished ranges are kept outside the process, so that what ends it costs one range.
 * @throws ParseRefusal encrypted, no_text_layer, parse_limit, parse_failed
 */
export async function parsePdf(bytes: Uint8Array, progress: PdfProgress): Promise<Parsed> {
  const pdf = await open(Uint8Array.from(bytes));
  const pages = finishedPages(progress.pagesFile);
  progress.onPages(pdf.numPages, pages.length);
  let units = pages.flat().reduce((sum, text) => sum + text.length, 0);
  while (pages.length < pdf.numPages) {
    const range: string[][] = [];
    const last = Math.min(pdf.numPages, pages.length + PAGES_A_RANGE);
    for (let number = pages.length + 1; number <= last; number++) {
      const paragraphs = await readPage(pdf, number);
      units += paragraphs.reduce((sum, text) => sum + text.length, 0);
      if (units > progress.textUnits)
        throw new ParseRefusal('parse_limit', { limit: 'text_units', value: units });
      range.push(paragraphs);
    }
    appendFileSync(progress.pagesFile, `${JSON.stringify(range)}\n`);
    pages.push(...range);
    progress.onPages(pdf.numPages, pages.length);
  }
  if (units === 0) throw new ParseRefusal('no_text_layer', { pages: pdf.numPages });
  const blocks = pages.flatMap((paragraphs, index) =>
    paragraphs.map((text): ParsedBlock => ({ kind: 'paragraph', page: index + 1, text })),
  );
  return { title: await titleOf(pdf), metadata: { pages: pdf.numPages }, blocks };
}
