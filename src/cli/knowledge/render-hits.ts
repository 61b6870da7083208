import type { CliIo } from '../cli-deps.js';
import { printable } from '../printable.js';
import { clipText, wrapText } from './wrap-text.js';

/** A text with what it cites; `verdict` where that was verified. */
interface Cited {
  text: string;
  citation: {
    documentId: string;
    revision: number;
    start: number;
    end: number;
    textSha256: string;
    title: string;
    headingPath: string[];
    page: number | null;
  };
  verdict: string | undefined;
}

/** A hit as it is shown, with the section around it where that was asked for. */
export interface Hit extends Cited {
  score: number;
  stale: boolean;
  section: (Cited & { whole: boolean }) | undefined;
}

const INDENT = '    ';
const SNIPPET_LINES = 3;
/** Text before the first word of the question that is shown with it. */
const LEAD = 60;

/** The part of a span around the first word of the question in it. */
function aroundQuestion(text: string, question: string): string {
  const words = question.toLowerCase().match(/[\p{L}\p{N}]{4,}/gu) ?? [];
  const lower = text.toLowerCase();
  const places = words.map((word) => lower.indexOf(word)).filter((at) => at >= 0);
  const first = Math.min(...places, text.length);
  if (places.length === 0 || first <= LEAD) return text;
  const from = text.indexOf(' ', first - LEAD);
  return from < 0 || from > first ? text : `… ${text.slice(from + 1)}`;
}

/** The heading path shows them already; a span of nothing else keeps them. */
const withoutHeadings = (text: string): string => {
  const body = text.replaceAll(/^#{1,6}[ \t].*$/gmu, '');
  return body.trim() === '' ? text : body;
};

function snippetOf(text: string, question: string, columns: number): string[] {
  const flat = printable(withoutHeadings(text)).replaceAll(/\s+/gu, ' ').trim();
  const lines = wrapText(aroundQuestion(flat, question), columns);
  const shown = lines.slice(0, SNIPPET_LINES);
  const last = shown.at(-1);
  if (lines.length <= SNIPPET_LINES || last === undefined) return shown;
  return [...shown.slice(0, -1), clipText(`${last} …`, columns)];
}

/** `Security › Keys · page 3`; the title is not repeated. */
function placeOf({ title, headingPath, page }: Hit['citation']): string {
  const headings = headingPath[0] === title ? headingPath.slice(1) : headingPath;
  const path = headings.join(' › ');
  return [path, ...(page === null ? [] : [`page ${page}`])]
    .filter((part) => part !== '')
    .join(' · ');
}

function citationOf(io: Pick<CliIo, 'paint'>, { citation, verdict = '' }: Cited): string[] {
  const { documentId, revision, start, end, textSha256 } = citation;
  const said = io.paint(verdict === 'VALID' ? 'green' : 'red', verdict);
  return [
    `${said}  ${documentId} revision ${revision}, ${start}–${end}`,
    io.paint('dim', `sha256 ${textSha256}`),
  ];
}

/** The text of a section line by line, and whether it goes on. */
function sectionLines(
  { text, whole }: { text: string; whole: boolean },
  columns: number,
): string[] {
  const lines = text.trim().split('\n');
  const shown = lines.flatMap((line) =>
    line.trim() === '' ? [''] : wrapText(printable(line), columns),
  );
  return whole ? shown : [...shown, '…'];
}

/** Hits, best first: score and title, heading path or page, a snippet or its section, and citations where they were verified. */
export function renderHits(
  io: Pick<CliIo, 'paint' | 'columns'>,
  hits: readonly Hit[],
  question: string,
): string {
  const columns = io.columns - INDENT.length;
  return hits
    .map((hit, at) => {
      const head = `${String(at + 1).padStart(2)}. ${hit.score.toFixed(3)}  `;
      const mark = hit.stale ? ' (stale)' : '';
      const room = io.columns - head.length - mark.length;
      const title = io.paint('bold', clipText(printable(hit.citation.title), room));
      const place = clipText(printable(placeOf(hit.citation)), columns);
      const lines = [
        ...(place === '' ? [] : [io.paint('dim', place)]),
        ...(hit.section === undefined
          ? snippetOf(hit.text, question, columns)
          : sectionLines(hit.section, columns)),
        ...(hit.verdict === undefined ? [] : citationOf(io, hit)),
        ...(hit.section?.verdict === undefined ? [] : citationOf(io, hit.section)),
      ];
      return [`${head}${title}${mark}`, ...lines.map((line) => (INDENT + line).trimEnd())].join(
        '\n',
      );
    })
    .join('\n\n');
}
