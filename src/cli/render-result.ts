import Table from 'cli-table3';
import { z } from 'zod';
import type { CliIo } from './cli-deps.js';
import { printable } from './printable.js';

const pageSchema = z.looseObject({
  items: z.array(z.record(z.string(), z.unknown())),
  nextCursor: z.string().optional(),
});
const objectSchema = z.record(z.string(), z.unknown());
const linksSchema = z.looseObject({ temporalUi: z.string() });
const rounded = (value: number): string => String(Number(value.toPrecision(4)));

/** Why a figure decides nothing: its interval lies on both sides of the bound. */
const spanOf = (interval: { low: number; high: number } | null | undefined, bound: unknown) =>
  interval === null || interval === undefined || typeof bound !== 'number'
    ? undefined
    : `${rounded(interval.low)} … ${rounded(interval.high)} spans ${rounded(bound)}`;

const judgedSchema = z.object({
  criteria: z.array(
    z
      .object({
        id: z.string(),
        verdict: z.string(),
        value: z.number().nullish(),
        reason: z.string().optional(),
        bound: z.number().nullish(),
        interval: z.object({ low: z.number(), high: z.number() }).nullish(),
      })
      // These and in this order: with their usual lengths they fit 80 columns.
      .transform(({ id, verdict, reason, value, bound, interval }) => ({
        id,
        verdict,
        reason: reason ?? (verdict === 'INCONCLUSIVE' ? spanOf(interval, bound) : undefined),
        value,
      })),
  ),
});

const WIDEST_CELL = 40;
/** A list or object within an object takes so many lines at most; text is shown whole. */
const NESTED_LINES = 6;
const PADDING = 3;

/** What a row is about: these columns narrow and give way last, in this order. */
const telling =
  'name key model dataset version env state status verdict scope action resource reason kind active'.split(
    ' ',
  );
/** Telling columns are not made narrower than this: they give way instead. */
const NARROWEST_CELL = 16;

const cellOf = (value: unknown): string => {
  if (value === undefined || value === null) return '';
  if (typeof value === 'string') return printable(value);
  return printable(JSON.stringify(value));
};

const isScalar = (value: unknown) => typeof value !== 'object' || value === null;

/** Objects that name something, and read well without their JSON: `model churn`. */
const naming = new Set(['scope', 'resource', 'target', 'policy']);

/** Short lists, and objects that name something, in words. */
function wordsOf(value: object): string | undefined {
  const parts = Object.values(value);
  const words = parts.map(cellOf).join(' ');
  const isShort = parts.length <= 4 && words.length <= WIDEST_CELL && parts.every(isScalar);
  return isShort && (parts.length === 0 || parts.some((part) => typeof part === 'string'))
    ? words
    : undefined;
}

/** The cell of a row, where a value is short enough for one: times to the second, four digits of a fraction. */
function cellInRow(name: string, value: unknown): string | undefined {
  if (typeof value === 'object' && value !== null)
    return Array.isArray(value) || naming.has(name) ? wordsOf(value) : undefined;
  if (typeof value === 'number' && !Number.isInteger(value)) return rounded(value);
  if (typeof value === 'string' && /^\d{4}-\d\d-\d\dT[\d:]{8}\.\d+Z$/.test(value))
    return `${value.slice(0, 19)}Z`;
  return cellOf(value);
}

const rankOf = (name: string): number => {
  const rank = telling.indexOf(name);
  return rank < 0 ? telling.length : rank;
};

interface Column {
  name: string;
  width: number;
}

/**
 * What fits of the columns, in order: the first never gives way; of the others first the widest of those that tell least,
 * and what a row is about becomes narrow before it is left out.
 */
function fitting(given: readonly Column[], columns: number): Column[] {
  let shown = [...given];
  const overflow = () => 1 + shown.reduce((sum, { width }) => sum + width + PADDING, 0) - columns;
  while (shown.length > 1 && overflow() > 0) {
    const [, ...others] = shown;
    const [least] = others.toSorted(
      (a, b) =>
        rankOf(b.name) - rankOf(a.name) ||
        b.width - a.width ||
        others.indexOf(b) - others.indexOf(a),
    );
    const [widest] = others.toSorted((a, b) => b.width - a.width);
    if (least === undefined || widest === undefined) return shown;
    const room = Math.min(overflow(), widest.width - NARROWEST_CELL);
    shown =
      rankOf(least.name) < telling.length && room > 0
        ? shown.map((one) => (one === widest ? { ...one, width: one.width - room } : one))
        : shown.filter((one) => one !== least);
  }
  return shown;
}

const table = (head: string[], rows: string[][], widths: number[]): string => {
  const made = new Table({
    ...(head.length === 0 ? {} : { head }),
    colWidths: widths,
    wordWrap: true,
    wrapOnWordBoundary: false,
    style: { head: [], border: [], compact: true },
  });
  made.push(...rows);
  return made.toString();
};

function renderPage(items: Record<string, unknown>[], columns: number): string {
  if (items.length === 0) return 'none';
  const names = [...new Set(items.flatMap((item) => Object.keys(item)))];
  const candidates = names.flatMap((name) => {
    const cells = items.map((item) => cellInRow(name, item[name]));
    const widths = cells.map((cell) => cell?.length ?? 0);
    // A column without a value in any row tells nothing.
    if (cells.includes(undefined) || Math.max(...widths) === 0) return [];
    return { name, width: Math.min(WIDEST_CELL, Math.max(name.length, ...widths)) };
  });
  const shown = fitting(candidates, columns);
  if (shown.length === 0) return JSON.stringify(items, null, 2);
  const hidden = names.filter((name) => !shown.some((one) => one.name === name));
  const text = table(
    shown.map(({ name }) => name),
    items.map((item) => shown.map(({ name }) => cellInRow(name, item[name]) ?? '')),
    shown.map(({ width }) => width + 2),
  );
  return hidden.length === 0 ? text : `${text}\n${wrapped(hidden, columns)}`;
}

/** The names of what has no column, in lines of at most `columns`. */
function wrapped(names: readonly string[], columns: number): string {
  const lines = [];
  let line = 'also, in --output json:';
  for (const [at, name] of names.entries()) {
    const word = at === names.length - 1 ? name : `${name},`;
    if (line.length + 1 + word.length > columns) {
      lines.push(line);
      line = ` ${word}`;
    } else line = `${line} ${word}`;
  }
  return [...lines, line].join('\n');
}

/** The cell of a value; of a list or object what fits, and how to see the rest. */
function shortened(value: unknown, room: number): string {
  const cell = cellOf(value);
  if (typeof value !== 'object' || cell.length <= room) return cell;
  const hint = ` … (${cell.length} characters, whole in --output json)`;
  return `${cell.slice(0, room - hint.length)}${hint}`;
}

/** What an evaluation judged, one criterion a line: the verdict alone does not say why. */
function renderCriteria(object: Record<string, unknown>, columns: number): string {
  const report = judgedSchema.safeParse(object['report']);
  if (!report.success || report.data.criteria.length === 0) return '';
  return `\n${renderPage(report.data.criteria, columns)}`;
}

/** Where a run can be seen; a line of its own, because a cell would break the address. */
function renderLink(links: unknown): string {
  const { data } = linksSchema.safeParse(links);
  return data === undefined ? '' : `\nTemporal UI: ${printable(data.temporalUi)}`;
}

function renderObject(object: Record<string, unknown>, columns: number): string {
  const link = renderLink(object['links']);
  const entries = Object.entries(object).filter(
    ([name, value]) => value !== undefined && !(link !== '' && name === 'links'),
  );
  if (entries.length === 0) return 'done';
  const nameWidth = Math.min(30, Math.max(...entries.map(([name]) => name.length)));
  const room = columns - nameWidth - 2 * PADDING - 1;
  const rows = entries.map(([name, value]) => [name, shortened(value, room * NESTED_LINES)]);
  const longest = Math.max(...rows.map(([, cell = '']) => cell.length), 1);
  const valueWidth = Math.min(longest, room);
  return table([], rows, [nameWidth + 2, valueWidth + 2]) + link;
}

/**
 * A result as a table of at most `columns`, or as JSON. A page becomes rows and, where there is more, the option that
 * continues it; anything else becomes one line per field, with long nested values cut and an evaluation's criteria below.
 */
export function renderResult(
  io: Pick<CliIo, 'columns'>,
  output: 'table' | 'json',
  body: unknown,
): string {
  if (output === 'json') return JSON.stringify(body ?? null, null, 2);
  const page = pageSchema.safeParse(body);
  if (page.success) {
    const more = page.data.nextCursor;
    const text = renderPage(page.data.items, io.columns);
    return more === undefined ? text : `${text}\nmore: --cursor ${more}`;
  }
  const object = objectSchema.safeParse(body);
  if (!object.success) return cellOf(body);
  return renderObject(object.data, io.columns) + renderCriteria(object.data, io.columns);
}
