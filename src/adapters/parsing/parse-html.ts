import { Readability } from '@mozilla/readability';
import { load, type CheerioAPI } from 'cheerio';
import { parseHTML } from 'linkedom';
import type { ParsedBlock } from '../../domain/etl/document.js';
import { ParseRefusal } from './parse-refusal.js';
import type { Parsed } from './parse-text.js';

// The tree that cheerio builds, as far as it is read here; what is neither text nor a tag holds no text.
type Node = { type: 'text'; data: string } | { type: 'comment' } | Tag;
interface Tag {
  type: 'tag';
  name: string;
  children: Node[];
}

const DROPPED =
  'script,style,noscript,template,iframe,object,embed,svg,canvas,form,button,input,select,textarea,' +
  '[hidden],[aria-hidden="true"],dialog:not([open]),img,picture,video,audio,link,meta[http-equiv]';
const HIDDEN_STYLE = /display\s*:\s*none|visibility\s*:\s*hidden/i;
const MIN_MAIN_SHARE = 0.2;
const MAX_DEPTH = 500;
const BLOCK_TAGS = new Set(
  (
    'address article aside blockquote body dd details div dl dt fieldset figcaption figure footer header hr html ' +
    'main nav p section summary'
  ).split(' '),
);

const collapse = (text: string): string =>
  text
    .split('\n')
    .map((line) => line.replace(/[^\S\n]+/g, ' ').trim())
    .join('\n')
    .trim();

/** Text of a node: white space of the source is one space, `br` a line end. */
function textOf(node: Node, depth = 0): string {
  if (depth > MAX_DEPTH) throw new ParseRefusal('parse_limit', { limit: 'depth', value: depth });
  if (node.type === 'text') return node.data.replace(/\s+/g, ' ');
  if (node.type !== 'tag') return '';
  if (node.name === 'br') return '\n';
  return node.children.map((child) => textOf(child, depth + 1)).join('');
}

const verbatim = (node: Node): string => {
  if (node.type === 'text') return node.data;
  return node.type === 'tag' ? node.children.map(verbatim).join('') : '';
};

/** Walks a tree and collects its blocks. */
class BlockWalk {
  readonly blocks: ParsedBlock[] = [];
  #inline = '';

  walk(node: Node, depth = 0): void {
    if (depth > MAX_DEPTH) throw new ParseRefusal('parse_limit', { limit: 'depth', value: depth });
    if (node.type === 'text') this.#inline += node.data.replace(/\s+/g, ' ');
    if (node.type !== 'tag') return;
    const heading = /^h([1-6])$/.exec(node.name)?.[1];
    if (heading !== undefined)
      this.#push({ kind: 'heading', level: Number(heading), text: collapse(textOf(node)) });
    else if (node.name === 'pre') this.#push({ kind: 'code', text: verbatim(node) });
    else if (node.name === 'ul' || node.name === 'ol')
      this.#push({ kind: 'list', text: listLines(node, 0).join('\n') });
    else if (node.name === 'table') this.#table(node, depth);
    else if (node.name === 'br') this.#inline += '\n';
    else {
      const isBlock = BLOCK_TAGS.has(node.name);
      if (isBlock) this.flush();
      for (const child of node.children) this.walk(child, depth + 1);
      if (isBlock) this.flush();
    }
  }

  flush(): void {
    const text = collapse(this.#inline);
    this.#inline = '';
    if (text !== '') this.blocks.push({ kind: 'paragraph', text });
  }

  #push(block: ParsedBlock): void {
    this.flush();
    if (block.text.trim() !== '') this.blocks.push(block);
  }

  #table(table: Node, depth: number): void {
    this.flush();
    const rows = rowsOf(table, 0);
    // A table of tables is layout, not data.
    if (rows.some((row) => row.some((cell) => holdsTable(cell, 0)))) {
      for (const cell of rows.flat()) {
        if (cell.type === 'tag') for (const child of cell.children) this.walk(child, depth + 1);
        this.flush();
      }
      return;
    }
    const [first, ...rest] = rows;
    const line = (row: Node[]): string =>
      row.map((cell) => collapse(textOf(cell)).replaceAll('\n', ' ')).join(' | ');
    const isHeader = first?.every((cell) => cell.type === 'tag' && cell.name === 'th') ?? false;
    if (first !== undefined && (!isHeader || rest.length === 0))
      this.#push({ kind: 'row', row: 1, text: line(first) });
    const header = isHeader && first !== undefined ? { header: line(first) } : {};
    for (const [index, row] of rest.entries())
      this.#push({ kind: 'row', row: index + (isHeader ? 1 : 2), text: line(row), ...header });
  }
}

function listLines(list: Node, depth: number): string[] {
  if (depth > MAX_DEPTH) throw new ParseRefusal('parse_limit', { limit: 'depth', value: depth });
  if (list.type !== 'tag') return [];
  const isList = (node: Node): boolean =>
    node.type === 'tag' && (node.name === 'ul' || node.name === 'ol');
  return list.children.flatMap((item) => {
    if (item.type !== 'tag') return [];
    if (isList(item)) return listLines(item, depth + 1);
    const own = item.children.filter((child) => !isList(child));
    const text = collapse(own.map((child) => textOf(child)).join('')).replaceAll('\n', ' ');
    const inner = item.children.filter(isList).flatMap((child) => listLines(child, depth + 1));
    return text === '' ? inner : [`${'  '.repeat(depth)}- ${text}`, ...inner];
  });
}

/** Rows of a table as lists of cells; the rows of a table inside a cell are its own. */
function rowsOf(node: Node, depth: number): Node[][] {
  if (node.type !== 'tag' || depth > 3) return [];
  if (node.name === 'tr')
    return [
      node.children.filter(
        (cell) => cell.type === 'tag' && (cell.name === 'td' || cell.name === 'th'),
      ),
    ];
  return node.children.flatMap((child) => rowsOf(child, depth + 1));
}

function holdsTable(node: Node, depth: number): boolean {
  if (node.type !== 'tag' || depth > MAX_DEPTH) return false;
  return node.children.some(
    (child) => child.type === 'tag' && (child.name === 'table' || holdsTable(child, depth + 1)),
  );
}

/** Everything a reader of the page would not see. */
function dropUnseen($: CheerioAPI): void {
  $(DROPPED).remove();
  $('[style]').each((_, element) => {
    if (HIDDEN_STYLE.test($(element).attr('style') ?? '')) $(element).remove();
  });
}

function blocksOf($: CheerioAPI): ParsedBlock[] {
  const walk = new BlockWalk();
  for (const node of $('body').contents().toArray() as unknown as Node[]) walk.walk(node);
  walk.flush();
  return walk.blocks;
}

const lengthOf = (blocks: readonly ParsedBlock[]): number =>
  blocks.reduce((sum, block) => sum + block.text.length, 0);

/** The main text of a page without navigation, where it is found. */
function mainBlocks(html: string): ParsedBlock[] {
  // The declarations of both name the DOM's own types, which a program without a browser does not have.
  const { document } = parseHTML(html) as { document: unknown };
  const reader: { parse: () => { content?: string | null | undefined } | null } = new Readability(
    document,
    { charThreshold: 200 },
  );
  const content = reader.parse()?.content;
  return content === null || content === undefined ? [] : blocksOf(load(content));
}

/** HTML that is a document already, such as what a word processor's file becomes: all of its body. */
export function parseHtmlBody(html: string): Parsed {
  const $ = load(html);
  dropUnseen($);
  const blocks = blocksOf($);
  return { title: blocks.find((block) => block.kind === 'heading')?.text, blocks };
}

/** A page: its main text, or all of its body where that is less than a fifth of it. Titled by `title`, else `h1`. */
export function parseHtml(html: string): Parsed {
  const $ = load(html);
  dropUnseen($);
  const title = collapse($('head > title').first().text()) || collapse($('h1').first().text());
  const language = $('html').attr('lang');
  const body = blocksOf($);
  const main = mainBlocks($.html());
  return {
    title: title === '' ? undefined : title,
    metadata: language === undefined ? {} : { language },
    blocks: lengthOf(main) < lengthOf(body) * MIN_MAIN_SHARE ? body : main,
  };
}
