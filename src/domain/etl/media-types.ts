/** What documents may be; anything else is refused as `parse_failed`. */
export const mediaTypes = [
  'text/markdown',
  'text/html',
  'text/plain',
  'text/csv',
  'application/json',
  'application/x-ndjson',
  'application/pdf',
  'application/vnd.openxmlformats-officedocument.wordprocessingml.document',
] as const;
export type MediaType = (typeof mediaTypes)[number];

const DOCX = 'application/vnd.openxmlformats-officedocument.wordprocessingml.document';

const byEnding: ReadonlyMap<string, MediaType> = new Map<string, MediaType>([
  ['md', 'text/markdown'],
  ['markdown', 'text/markdown'],
  ['html', 'text/html'],
  ['htm', 'text/html'],
  ['xhtml', 'text/html'],
  ['txt', 'text/plain'],
  ['text', 'text/plain'],
  ['csv', 'text/csv'],
  ['tsv', 'text/csv'],
  ['json', 'application/json'],
  ['jsonl', 'application/x-ndjson'],
  ['ndjson', 'application/x-ndjson'],
  ['pdf', 'application/pdf'],
  ['docx', DOCX],
]);

const byType: ReadonlyMap<string, MediaType> = new Map<string, MediaType>([
  ...mediaTypes.map((type) => [type, type] as const),
  ['text/x-markdown', 'text/markdown'],
  ['application/xhtml+xml', 'text/html'],
  ['text/tab-separated-values', 'text/csv'],
  ['application/jsonl', 'application/x-ndjson'],
  ['application/jsonlines', 'application/x-ndjson'],
]);

/** What a file is by the end of its name; undefined where that is nothing we read. */
export const mediaTypeOfName = (name: string): MediaType | undefined =>
  byEnding.get(/\.([a-z0-9]{1,10})$/i.exec(name)?.[1]?.toLowerCase() ?? '');

/** One of ours by a content type, parameters and other names for it included; undefined where we do not read it. */
export const mediaTypeNamed = (type: string | undefined): MediaType | undefined =>
  byType.get(type?.split(';', 1)[0]?.trim().toLowerCase() ?? '');

/**
 * The parser of each type, with the versions that decide its output. It is part of `parse_fp`: raising one re-processes
 * the documents of that type and no others. The number after `anneal` is ours and is raised when our own code changes
 * what a document of the type becomes.
 */
export const parserVersions: Readonly<Record<MediaType, string>> = {
  'text/markdown': 'anneal@1 remark-parse@11.0.0 remark-gfm@4.0.1 yaml@2.9.1',
  'text/html': 'anneal@1 cheerio@1.2.0 @mozilla/readability@0.6.0 linkedom@0.18.12',
  'text/plain': 'anneal@1',
  'text/csv': 'anneal@2 csv-parse@7.0.3',
  'application/json': 'anneal@1',
  'application/x-ndjson': 'anneal@1',
  'application/pdf': 'anneal@1 unpdf@1.8.1',
  'application/vnd.openxmlformats-officedocument.wordprocessingml.document':
    'anneal@1 mammoth@1.13.0 cheerio@1.2.0',
};
