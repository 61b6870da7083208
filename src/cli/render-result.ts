import Table from 'cli-table3';
import { z } from 'zod';
import type { CliIo } from './cli-deps.js';
import { printable } from './printable.js';

const pageSchema = z.looseObject({
  items: z.array(z.record(z.string(), z.unknown())),
  nextCursor: z.string().optional(),
});
const objectSchema = z.record(z.string(), z.unknown());
const judgedSchema = z.object({
  criteria: z.array(
    z
      .object({
        id: z.string(),
        verdict: z.string(),
        value: z.number().nullish(),
        reason: z.string().optional(),
      })
      // These and in this order: with their usual lengths they fit 80 columns.
      .transform(({ id, verdict, reason, value }) => ({
        id,
        verdict,
        reason,
        value: typeof value === 'number' ? Number(value.toPrecision(4)) : value,
      })),
  ),
});

const WIDEST_CELL = 40;
/** A list or object within an object takes so many lines at most; text is shown whole. */
const NESTED_LINES = 6;
const PADDING = 3;

const cellOf = (value: unknown): string => {
  if (value === undefined || value === null) return '';
  if (typeof value === 'string') return printable(value);
  return printable(JSON.stringify(value));
};

/** What fits of the columns, in order: the widest gives way first, the first column never. */
function fitting(names: string[], widths: Map<string, number>, columns: number): string[] {
  const widthOf = (name: string) => (widths.get(name) ?? 0) + PADDING;
  const shown = [...names];
  while (shown.length > 1 && 1 + shown.reduce((sum, name) => sum + widthOf(name), 0) > columns) {
    const [, ...others] = shown;
    const widest = Math.max(...others.map(widthOf));
    shown.splice(
      shown.findLastIndex((name, at) => at > 0 && widthOf(name) === widest),
      1,
    );
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
  const isScalar = (value: unknown) => typeof value !== 'object' || value === null;
  const names = [...new Set(items.flatMap((item) => Object.keys(item)))];
  const scalars = names.filter((name) => items.every((item) => isScalar(item[name])));
  const widths = new Map(
    scalars.map((name) => {
      const cells = [name, ...items.map((item) => cellOf(item[name]))];
      return [name, Math.min(WIDEST_CELL, Math.max(...cells.map((cell) => cell.length)))];
    }),
  );
  const shown = fitting(scalars, widths, columns);
  if (shown.length === 0) return JSON.stringify(items, null, 2);
  const hidden = names.filter((name) => !shown.includes(name));
  const text = table(
    shown,
    items.map((item) => shown.map((name) => cellOf(item[name]))),
    shown.map((name) => (widths.get(name) ?? 0) + 2),
  );
  return hidden.length === 0 ? text : `${text}\nalso, in --output json: ${hidden.join(', ')}`;
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

function renderObject(object: Record<string, unknown>, columns: number): string {
  const entries = Object.entries(object).filter(([, value]) => value !== undefined);
  if (entries.length === 0) return 'done';
  const nameWidth = Math.min(30, Math.max(...entries.map(([name]) => name.length)));
  const room = columns - nameWidth - 2 * PADDING - 1;
  const rows = entries.map(([name, value]) => [name, shortened(value, room * NESTED_LINES)]);
  const longest = Math.max(...rows.map(([, cell = '']) => cell.length), 1);
  const valueWidth = Math.min(longest, room);
  return table([], rows, [nameWidth + 2, valueWidth + 2]);
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
