import type { CliIo } from '../cli-deps.js';
import { printable } from '../printable.js';
import { countOf } from './count-of.js';
import type { UploadReport } from './upload-folder.js';

/** Files of a kind that are named; more are counted. */
const NAMED = 20;

const named = (
  io: Pick<CliIo, 'paint'>,
  kind: 'skipped' | 'refused',
  lines: string[],
): string[] => {
  const style = kind === 'refused' ? 'red' : 'dim';
  const more = lines.length > NAMED ? [`${lines.length - NAMED} more ${kind}`] : [];
  return [
    ...lines.slice(0, NAMED).map((line) => `${io.paint(style, kind)}  ${printable(line)}`),
    ...more,
  ];
};

/** What an upload did: the files that stayed behind by name, the others counted. */
export function renderUpload(io: Pick<CliIo, 'paint'>, report: UploadReport): string {
  const { sent, unchanged, skipped, failed } = report;
  const parts = [
    `${sent} sent`,
    ...(unchanged > 0 ? [`${unchanged} unchanged`] : []),
    ...(skipped.length > 0 ? [`${skipped.length} skipped`] : []),
    ...(failed.length > 0 ? [`${failed.length} refused`] : []),
  ];
  return [
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
