import type { CliIo } from '../cli-deps.js';
import { printable } from '../printable.js';
import { countOf } from './count-of.js';
import { fileOutcomes, type FileOutcome, type FileReport } from './file-outcome.js';
import { quarantineWords } from './quarantine-words.js';

const WIDTH = 'quarantined'.length;
const styles: Partial<Record<FileOutcome, 'green' | 'red' | 'yellow' | 'dim'>> = {
  new: 'green',
  changed: 'green',
  unchanged: 'dim',
  quarantined: 'red',
  hidden: 'red',
  waiting: 'yellow',
};

/** One line of a file: outcome, path, and why where it is not found. */
export function renderFile(
  io: Pick<CliIo, 'paint'>,
  { outcome, key, reason, evidence, revision, note }: FileReport,
  sourceName: string | undefined,
): string {
  const style = styles[outcome];
  const word = outcome.padEnd(WIDTH);
  const head = `${style === undefined ? word : io.paint(style, word)}  `;
  const path = printable(sourceName === undefined ? key : `${sourceName}/${key}`);
  if (outcome !== 'quarantined' && outcome !== 'hidden')
    return note === undefined ? `${head}${path}` : `${head}${path}: ${printable(note)}`;
  const why = reason === undefined ? '' : `: ${printable(quarantineWords(reason, evidence))}`;
  const earlier = outcome === 'quarantined' && revision !== undefined;
  return `${head}${path}${why}${earlier ? '; the revision before answers' : ''}`;
}

/** `5 files: 4 new, 1 quarantined`. */
export function renderCounts(files: readonly FileReport[]): string {
  const parts = fileOutcomes.flatMap((outcome) => {
    const count = files.filter((file) => file.outcome === outcome).length;
    return count === 0 ? [] : [`${count.toLocaleString('en')} ${outcome}`];
  });
  const total = countOf(files.length, 'file');
  return parts.length === 0 ? total : `${total}: ${parts.join(', ')}`;
}
