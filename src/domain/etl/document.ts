import type { Flag } from './flags.js';

/** What a block of a document is. */
export type BlockKind = 'heading' | 'paragraph' | 'list' | 'code' | 'table' | 'row';

/** Where a block came from, and what stands above it. */
interface BlockPlace {
  kind: BlockKind;
  /** Heading level, 1–6; headings only. */
  level?: number | undefined;
  /** Page, 1-based; paged formats only. */
  page?: number | undefined;
  /** Data row, 1-based; tables only. */
  row?: number | undefined;
  /** Header line that every piece of a table repeats before it is embedded. */
  header?: string | undefined;
}

/** One block as a parser yields it. */
export interface ParsedBlock extends BlockPlace {
  text: string;
}

/** What a parser makes of the bytes of one document. Metadata values are scalars or lists of scalars. */
export interface ParsedDocument {
  mediaType: string;
  /** `name@version` of the parser: part of `parse_fp`. */
  parser: string;
  title: string;
  metadata: Record<string, unknown>;
  /** Access and people that the document itself declares (front matter). */
  declared: { acl?: string[] | undefined; subjects?: string[] | undefined };
  /** What a parser left out or found odd, for whoever looks after the document. */
  flags?: Flag[] | undefined;
  blocks: ParsedBlock[];
}

/** A block inside the text of a revision: `text.slice(start, end)`, UTF-16 units. */
export interface TextBlock extends BlockPlace {
  start: number;
  end: number;
}

/** The text of a revision: blocks joined by a blank line, cleaned and scrubbed. */
export interface RevisionText {
  title: string;
  text: string;
  blocks: TextBlock[];
}

/** A chunk before it has ids: `text.slice(start, end)` of the revision is what a citation shows. */
export interface Chunk {
  start: number;
  end: number;
  /** Title, heading path, newline, span (tables repeat their header): what is embedded and searched lexically. */
  embedText: string;
  headingPath: string[];
  page?: number | undefined;
  row?: number | undefined;
}
