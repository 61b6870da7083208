import type { Chunk, RevisionText, TextBlock } from './document.js';
import { splitSpan } from './split-span.js';

/** What an embedder takes of one text, as the installation counts it. */
export interface TokenGuard {
  /** Part of `chunk_fp`: the same name counts the same. */
  tokenizer: string;
  max: number;
  count: (text: string) => number;
}

/** How long chunks are, in UTF-16 units of the revision; `maxTokens` is what the embedder accepts of one text. */
export interface ChunkSizes {
  /** Blocks are packed up to here; default 1200, at least 16. */
  target: number;
  /** No chunk's span is longer; default 1600, at least `target`. */
  max: number;
  /** Guard of the embedder's maximum: a chunk above it is split again, never truncated. */
  tokens?: Pick<TokenGuard, 'count' | 'max'> | undefined;
}

/** The sizes that hold where nothing else is said. */
const defaultChunkSizes = { target: 1200, max: 1600 } as const;

/** What several blocks that become one chunk have in common. */
interface Pack {
  start: number;
  end: number;
  /** The first block that is more than a heading, else the first. */
  lead: TextBlock;
  headingPath: string[];
  /** The level of its first heading while it holds headings only: then what follows belongs to it. */
  headingLevel: number | undefined;
}

// No character of UTF-16 is more than three bytes, and no token is less than one.
const MAX_TOKENS_PER_UNIT = 3;
const MAX_LABEL = 200;

/** A heading as a label: one line, without Markdown's marks. */
function headingLabel(text: string): string {
  let label = text.slice(0, MAX_LABEL).split('\n', 1)[0] ?? '';
  const marks = /^#{1,6}[ \t]/.exec(label)?.[0];
  if (marks !== undefined) label = label.slice(marks.length).trim().replace(/#+$/, '');
  return label.trim();
}

/** The headings above a place. */
class HeadingStack {
  #open: { level: number; label: string }[] = [];
  path: string[] = [];

  enter(level: number, label: string): void {
    this.#open = [...this.#open.filter((heading) => heading.level < level), { level, label }];
    this.path = this.#open.map((heading) => heading.label);
  }
}

// A table block holds its own header: no reason to part it from the paragraph before it. Rows do not.
const rowHeader = (block: TextBlock): string | undefined =>
  block.kind === 'row' ? (block.header ?? '') : undefined;

/** Whether a block may follow what is in the pack: never across a page, a table's rows or a heading of level ≤ 2. */
function mayJoin(open: Pack, block: TextBlock, sizes: ChunkSizes): boolean {
  if (open.lead.page !== block.page) return false;
  const size = open.end - open.start;
  const joined = block.end - open.start;
  const fits = joined <= sizes.target || (size < sizes.target / 2 && joined <= sizes.max);
  if (open.headingLevel !== undefined)
    // A heading stays with what it heads, even where that is too long and is split.
    return block.kind === 'heading' ? fits && open.headingLevel < (block.level ?? 6) : true;
  if (block.kind === 'heading')
    return fits && (block.level ?? 6) > 2 && size <= sizes.target / 2 && open.lead.kind !== 'row';
  return fits && rowHeader(open.lead) === rowHeader(block);
}

function pack(revision: RevisionText, sizes: ChunkSizes): Pack[] {
  const headings = new HeadingStack();
  const packs: Pack[] = [];
  let open: Pack | undefined;
  for (const block of revision.blocks) {
    const isHeading = block.kind === 'heading';
    const level = block.level ?? 6;
    if (isHeading) headings.enter(level, headingLabel(revision.text.slice(block.start, block.end)));
    if (open !== undefined && mayJoin(open, block, sizes)) {
      open.end = block.end;
      if (open.headingLevel === undefined) continue;
      open.headingPath = headings.path;
      open.lead = block;
      if (!isHeading) open.headingLevel = undefined;
      continue;
    }
    const headingLevel = isHeading ? level : undefined;
    const { start, end } = block;
    open = { start, end, lead: block, headingPath: headings.path, headingLevel };
    packs.push(open);
  }
  return packs;
}

interface Draft {
  start: number;
  end: number;
  prefix: string;
}

/** Splits what the embedder would not take, halving until every part fits. */
function withinTokens(text: string, draft: Draft, tokens: ChunkSizes['tokens']): Draft[] {
  if (tokens === undefined) return [draft];
  const length = draft.end - draft.start;
  if ((draft.prefix.length + length) * MAX_TOKENS_PER_UNIT <= tokens.max) return [draft];
  if (tokens.count(draft.prefix + text.slice(draft.start, draft.end)) <= tokens.max) return [draft];
  // A prefix that leaves no room is context, not content: it goes before any of the text does.
  const prefix = tokens.count(draft.prefix) * 2 > tokens.max ? '' : draft.prefix;
  const half = Math.max(2, Math.ceil(length / 2));
  if (length <= 2) return [{ ...draft, prefix }];
  return splitSpan(text, draft, { target: half, max: half }).flatMap((span) =>
    withinTokens(text, { ...span, prefix }, tokens),
  );
}

/** The chunks of one pack: itself, or its parts where it is too long for the sizes or the embedder. */
function chunksOf({ text, title }: RevisionText, of: Pack, sizes: ChunkSizes): Chunk[] {
  const { lead, headingPath } = of;
  const above = headingPath[0] === title ? headingPath : [title, ...headingPath];
  const context = above.filter((label) => label !== '').join(' > ');
  const contextLine = context === '' ? '' : `${context}\n`;
  const headed = lead.header === undefined ? contextLine : `${contextLine}${lead.header}\n`;
  // A table's first piece shows its own header line; the others repeat it, and rows never hold it.
  const prefixAt = (start: number): string =>
    lead.kind === 'row' || start > of.start ? headed : contextLine;
  return splitSpan(text, of, sizes)
    .flatMap((span) => withinTokens(text, { ...span, prefix: prefixAt(span.start) }, sizes.tokens))
    .map(({ start, end, prefix }) => ({
      start,
      end,
      embedText: prefix + text.slice(start, end),
      headingPath,
      ...(lead.page !== undefined && { page: lead.page }),
      ...(lead.row !== undefined && { row: lead.row }),
    }));
}

/**
 * Cuts a revision into chunks. Blocks are packed to `target`, at most `max`, never across a heading of level ≤ 2, a
 * page or the rows of a table (a heading with nothing under it goes with the section that opens inside it); oversize
 * ones are split at blank line, line, sentence end, space, code point. No overlap; `text.slice(start, end)` is the
 * chunk, and only white space lies between two chunks. Pure and linear.
 * @throws RangeError where sizes contradict each other
 */
export function chunkText(revision: RevisionText, sizes: ChunkSizes = defaultChunkSizes): Chunk[] {
  if (!(sizes.target >= 16 && sizes.max >= sizes.target))
    throw new RangeError('chunk sizes: 16 ≤ target ≤ max');
  return pack(revision, sizes).flatMap((one) => chunksOf(revision, one, sizes));
}
