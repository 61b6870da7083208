import remarkGfm from 'remark-gfm';
import remarkParse from 'remark-parse';
import { unified } from 'unified';
import type { BlockKind, ParsedBlock } from '../../domain/etl/document.js';
import { readFrontMatter } from './front-matter.js';
import type { Parsed } from './parse-text.js';

const processor = unified().use(remarkParse).use(remarkGfm).freeze();
type Node = ReturnType<typeof processor.parse>['children'][number];

const kinds: Partial<Record<Node['type'], BlockKind>> = {
  heading: 'heading',
  list: 'list',
  code: 'code',
  table: 'table',
};

/** What says nothing to a reader: rules, comments, the targets of links. */
const isSilent = (node: Node): boolean =>
  node.type === 'thematicBreak' ||
  node.type === 'definition' ||
  (node.type === 'html' && node.value.startsWith('<!--'));

function blockOf(node: Node, source: string): ParsedBlock | undefined {
  const start = node.position?.start.offset;
  const end = node.position?.end.offset;
  if (start === undefined || end === undefined || isSilent(node)) return undefined;
  const text = source.slice(start, end);
  const kind = kinds[node.type] ?? 'paragraph';
  if (node.type === 'heading') return { kind, text, level: node.depth };
  if (node.type === 'table') return { kind, text, header: text.split('\n', 1)[0] };
  return { kind, text };
}

const labelOf = (heading: string): string =>
  (heading.split('\n', 1)[0] ?? '')
    .replace(/^#{1,6}/, '')
    .trim()
    .replace(/#+$/, '')
    .trim();

/** Markdown (GFM): the blocks of its top level, their text verbatim. */
export function parseMarkdown(text: string): Parsed {
  const { bodyAt, ...front } = readFrontMatter(text);
  const body = text.slice(bodyAt);
  const blocks = processor.parse(body).children.flatMap((node) => blockOf(node, body) ?? []);
  const heading = blocks.find((block) => block.kind === 'heading');
  return { ...front, title: front.title ?? (heading && labelOf(heading.text)), blocks };
}
