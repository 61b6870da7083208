import type { CliIo } from '../cli-deps.js';
import { printable } from '../printable.js';
import { countOf } from './count-of.js';
import type { UploadReport } from './upload-folder.js';

/** Files of a kind that are named; more are counted. */
const NAMED = 20;
const WIDTH = 'skipped'.length;
const styles = { gone: 'yellow', refused: 'red', skipped: 'dim' } as const;

const named = (io: Pick<CliIo, 'paint'>, kind: keyof typeof styles, lines: string[]): string[] => {
  const more = lines.length > NAMED ? [`${lines.length - NAMED} more ${kind}`] : [];
  return [
    ...lines
      .slice(0, NAMED)
      .map((line) => `${io.paint(styles[kind], kind.padEnd(WIDTH))}  ${printable(line)}`),
    ...more,
  ];
};

/**
 * What an upload did: the files that stayed behind by name, the others counted.
 * @param as what a proposed command needs behind it, such as ` --as steward`
 */
export function renderUpload(io: Pick<CliIo, 'paint'>, report: UploadReport, as: string): string {
  const { sent, unchanged, skipped, failed, gone } = report;
  const parts = [
    `${sent} sent`,
    ...(unchanged > 0 ? [`${unchanged} unchanged`] : []),
    ...(skipped.length > 0 ? [`${skipped.length} skipped`] : []),
    ...(failed.length > 0 ? [`${failed.length} refused`] : []),
  ];
  return [
    ...named(
      io,
      'gone',
      gone.map(
        ({ key, documentId }) =>
          `${key} is still found: anneal documents delete ${documentId}${as}`,
      ),
    ),
    ...named(
      io,
      'skipped',
      skipped.map(({ key, why }) => `${key}: ${why}`),
    ),
    ...named(
      io,
      'refused',
      failed.map(({ key, code }) => `${key}: ${code}`),
    ),
    `${countOf(sent + unchanged + skipped.length + failed.length, 'file')}: ${parts.join(', ')}`,
  ].join('\n');
}
