import { execFileSync } from 'node:child_process';
import { cpus, loadavg, totalmem } from 'node:os';
import Table from 'cli-table3';
import { foreignVersions } from './foreign-modules.js';
import type { Measured } from './measure.js';

/** A phase of a side over all runs. */
export interface Figure extends Omit<Measured, 'ms' | 'cpuMs' | 'documents'> {
  documentsPerSecond: number;
  /** First and third quartile. */
  quartiles: [number, number];
  documentsPerCpuSecond: number;
}

/** The value at a share of a sorted list, between two neighbours in proportion. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (sorted.length - 1) * share;
  const low = sorted[Math.floor(at)] ?? Number.NaN;
  const high = sorted[Math.ceil(at)] ?? low;
  return low + (high - low) * (at - Math.floor(at));
}

/** Median and quartiles of each phase and side; of the counts the largest, because one fault is one too many. */
export function figuresOf(runs: readonly (readonly Measured[])[]): Figure[] {
  const groups = Map.groupBy(runs.flat(), ({ side, phase }) => `${phase}\0${side}`);
  return [...groups.values()].map((own) => {
    const rates = own.map(({ documents, ms }) => (documents / ms) * 1_000);
    const most = (read: (one: Measured) => number): number => Math.max(...own.map(read));
    return {
      phase: own[0]?.phase ?? '',
      side: own[0]?.side ?? '',
      documentsPerSecond: quantile(rates, 0.5),
      quartiles: [quantile(rates, 0.25), quantile(rates, 0.75)],
      documentsPerCpuSecond: quantile(
        own.map(({ documents, cpuMs }) => (documents / Math.max(cpuMs, 1)) * 1_000),
        0.5,
      ),
      embeds: most(({ embeds }) => embeds),
      changed: most(({ changed }) => changed),
      writes: most(({ writes }) => writes),
      orphans: most(({ orphans }) => orphans),
      duplicates: most(({ duplicates }) => duplicates),
      missing: most(({ missing }) => missing),
      stale: most(({ stale }) => stale),
    };
  });
}

const whole = (value: number): string => Math.round(value).toLocaleString('en-US');

export const heads = [
  'Phase',
  'Side',
  'documents/s',
  'IQR',
  'a CPU second',
  'embeds',
  'a changed chunk',
  'sink writes',
  'orphans',
  'duplicates',
  'missing',
  'stale ACLs',
];

/** The cells of a figure, in the order of {@link heads}. */
export const cellsOf = (figure: Figure): string[] => [
  figure.phase,
  figure.side,
  whole(figure.documentsPerSecond),
  figure.quartiles.map(whole).join('–'),
  whole(figure.documentsPerCpuSecond),
  whole(figure.embeds),
  figure.changed === 0 ? '–' : (figure.embeds / figure.changed).toFixed(2),
  whole(figure.writes),
  whole(figure.orphans),
  whole(figure.duplicates),
  whole(figure.missing),
  whole(figure.stale),
];

/** A table for the terminal. */
export function tableOf(head: readonly string[], rows: readonly string[][]): string {
  const table = new Table({ head: [...head], style: { head: [], border: [], compact: true } });
  table.push(...rows);
  return table.toString();
}

/** Machine, runtime, commit and what is compared. */
export function environment() {
  const git = (...args: string[]) => execFileSync('git', args).toString().trim();
  return {
    commit: git('rev-parse', '--short', 'HEAD'),
    dirty: git('status', '--porcelain', '--', 'src').length > 0,
    cpu: `${cpus().length} × ${cpus()[0]?.model ?? 'cpu'}`,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    node: process.versions.node,
    load: (loadavg()[0] ?? 0).toFixed(2),
    ...foreignVersions(),
  };
}

/** Pins this process, its threads and children to two cores where `taskset` is there; says which they are. */
export function pinCores(): string {
  const pid = String(process.pid);
  try {
    execFileSync('taskset', ['-a', '-p', '-c', '0,1', pid], { stdio: 'ignore' });
    return 'cores 0 and 1 (taskset)';
  } catch {
    return `not pinned: ${cpus().length} cores`;
  }
}
