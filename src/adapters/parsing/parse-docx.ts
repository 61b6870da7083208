import { load } from 'cheerio';
import mammoth from 'mammoth';
import type { ParseLimits } from '../../domain/etl/parser.js';
import { inspectZip } from './inspect-zip.js';
import { parseHtmlBody } from './parse-html.js';
import { ParseRefusal } from './parse-refusal.js';
import type { Parsed } from './parse-text.js';

const DOCUMENT = 'word/document.xml';
const CORE = 'docProps/core.xml';

/** DOCX by way of HTML: deleted text of tracked changes is left out, inserted text is in; images are dropped. */
export async function parseDocx(bytes: Uint8Array, limits: ParseLimits): Promise<Parsed> {
  const parts = inspectZip(bytes, [DOCUMENT, CORE], limits);
  if (!parts.has(DOCUMENT)) throw new ParseRefusal('parse_failed', { detail: 'zip_is_not_docx' });
  const core = parts.get(CORE)?.toString('utf8') ?? '';
  const title = load(core, { xml: true })('dc\\:title').first().text().trim();
  const { value } = await mammoth.convertToHtml(
    { buffer: Buffer.from(bytes) },
    {
      convertImage: mammoth.images.imgElement(async () => ({ src: '' })),
      externalFileAccess: false,
    },
  );
  const parsed = parseHtmlBody(value);
  return { ...parsed, title: title === '' ? parsed.title : title };
}
