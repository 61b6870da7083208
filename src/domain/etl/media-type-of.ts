import { mediaTypes, type MediaType } from './media-types.js';

const byEnding: Readonly<Record<string, MediaType>> = {
  md: 'text/markdown',
  markdown: 'text/markdown',
  html: 'text/html',
  htm: 'text/html',
  txt: 'text/plain',
  text: 'text/plain',
  csv: 'text/csv',
  json: 'application/json',
  jsonl: 'application/x-ndjson',
  ndjson: 'application/x-ndjson',
  pdf: 'application/pdf',
  docx: 'application/vnd.openxmlformats-officedocument.wordprocessingml.document',
};

/**
 * What pushed bytes are: what was declared, else the end of a name, else the content type of the part; undefined where
 * that is nothing we read. A part's `text/plain` comes last, because senders write it where they know nothing.
 */
export function mediaTypeOf(of: {
  declared?: string | undefined;
  names: readonly (string | undefined)[];
  partType?: string | undefined;
}): MediaType | undefined {
  const known = (type: string | undefined) => mediaTypes.find((each) => each === type);
  if (of.declared !== undefined) return known(of.declared);
  for (const name of of.names) {
    const ending = /\.([a-z0-9]{1,10})$/i.exec(name ?? '')?.[1]?.toLowerCase();
    const found = ending === undefined ? undefined : byEnding[ending];
    if (found !== undefined) return found;
  }
  return known(of.partType?.split(';')[0]?.trim().toLowerCase());
}
