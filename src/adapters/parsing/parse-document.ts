import type { ParsedDocument } from '../../domain/etl/document.js';
import { parserVersions, type MediaType } from '../../domain/etl/media-types.js';
import type { ParseLimits } from '../../domain/etl/parser.js';
import { decodeText } from './decode-text.js';
import type { PdfProgress } from './parse-pdf.js';
import { ParseRefusal } from './parse-refusal.js';
import { parseJson, parseJsonLines, parseText, type Parsed } from './parse-text.js';

/** One document inside a child. */
export interface DocumentTask {
  name: string;
  mediaType: MediaType;
  bytes: Uint8Array;
  limits: ParseLimits;
  progress: Pick<PdfProgress, 'pagesFile' | 'onPages'>;
}

// The libraries of a type are loaded with its first document: most children never need most of them.
async function parseAs(task: DocumentTask): Promise<Parsed> {
  const { bytes, limits } = task;
  const { textUnits } = limits;
  switch (task.mediaType) {
    case 'text/plain':
      return parseText(decodeText(bytes, textUnits));
    case 'application/json':
      return parseJson(decodeText(bytes, textUnits));
    case 'application/x-ndjson':
      return parseJsonLines(decodeText(bytes, textUnits));
    case 'text/markdown':
      return (await import('./parse-markdown.js')).parseMarkdown(decodeText(bytes, textUnits));
    case 'text/html':
      return (await import('./parse-html.js')).parseHtml(decodeText(bytes, textUnits));
    case 'text/csv':
      return (await import('./parse-csv.js')).parseCsv(bytes, textUnits);
    case 'application/pdf':
      return (await import('./parse-pdf.js')).parsePdf(bytes, { ...task.progress, textUnits });
    case 'application/vnd.openxmlformats-officedocument.wordprocessingml.document':
      return (await import('./parse-docx.js')).parseDocx(bytes, limits);
  }
}

const fileTitle = (name: string): string =>
  (name.split('/').at(-1) ?? name).replace(/\.[a-z0-9]{1,10}$/i, '');

/** Failures of libraries as refusals. Their messages quote the document, so only the name of the error is kept. */
function refusalOf(error: unknown): ParseRefusal {
  if (error instanceof ParseRefusal) return error;
  const name = error instanceof Error ? error.name : 'unknown';
  return name === 'RangeError'
    ? new ParseRefusal('parse_limit', { limit: 'depth' })
    : new ParseRefusal('parse_failed', { detail: name });
}

/** Parses one document of a known type. @throws ParseRefusal and nothing else */
export async function parseDocument(task: DocumentTask): Promise<ParsedDocument> {
  try {
    const parsed = await parseAs(task);
    const units = parsed.blocks.reduce((sum, block) => sum + block.text.length, 0);
    if (units > task.limits.textUnits)
      throw new ParseRefusal('parse_limit', { limit: 'text_units', value: units });
    return {
      mediaType: task.mediaType,
      parser: parserVersions[task.mediaType],
      title: parsed.title ?? fileTitle(task.name),
      metadata: parsed.metadata ?? {},
      declared: parsed.declared ?? {},
      ...(parsed.flags === undefined ? {} : { flags: parsed.flags }),
      blocks: parsed.blocks,
    };
  } catch (error) {
    throw refusalOf(error);
  }
}
