import type { Scan } from './scan.js';
import { isDigit } from './scan.js';

/** Groups of digits that stand close enough to be one number: group `k` is `text.slice(starts[k], ends[k])`. */
export interface Cluster {
  starts: number[];
  ends: number[];
  /** What stands between group `k` and group `k + 1`. */
  between: string[];
  /** Where the last group ends. */
  end: number;
}

const SEPARATORS: ReadonlySet<string> = new Set([
  ' ',
  '-',
  '.',
  '/',
  ')',
  ') ',
  ')-',
  ').',
  ' (',
  '(',
  '-(',
  '.(',
]);
const isSeparator = (code: number): boolean =>
  code === 32 || (code >= 45 && code <= 47) || code === 40 || code === 41;

/** Reads the groups of digits from `at`, the first digit of a run, as far as separators of numbers join them. */
export function readCluster(scan: Scan, at: number): Cluster {
  const { text } = scan;
  const cluster: Cluster = { starts: [], ends: [], between: [], end: at };
  let next = at;
  for (;;) {
    cluster.starts.push(next);
    while (isDigit(text.charCodeAt(next))) next++;
    cluster.ends.push(next);
    cluster.end = next;
    const end = next;
    while (next < end + 3 && isSeparator(text.charCodeAt(next))) next++;
    if (next === end || !isDigit(text.charCodeAt(next))) break;
    const separator = text.slice(end, next);
    if (!SEPARATORS.has(separator)) break;
    cluster.between.push(separator);
  }
  scan.steps += next - at;
  return cluster;
}

/** Some neighbouring groups of a cluster. */
export interface Window {
  /** First and last group. */
  first: number;
  last: number;
  start: number;
  end: number;
  digits: string;
  /** Lengths of the groups joined by `-`: `4-4-4-4`. */
  shape: string;
  /** The separator where all are the same one; empty for a single group, undefined for a mixture. */
  separator: string | undefined;
}

/** The groups `first` to `last` of a cluster as one number. */
export function windowOf(text: string, cluster: Cluster, range: [number, number]): Window {
  const [first, last] = range;
  let digits = '';
  let shape = '';
  let separator: string | undefined = cluster.between[first] ?? '';
  if (first === last) separator = '';
  for (let k = first; k <= last; k++) {
    const [from, to] = [cluster.starts[k] ?? 0, cluster.ends[k] ?? 0];
    digits += text.slice(from, to);
    shape += (k > first ? '-' : '') + String(to - from);
    if (k < last && cluster.between[k] !== separator) separator = undefined;
  }
  const [start, end] = [cluster.starts[first] ?? 0, cluster.ends[last] ?? 0];
  return { first, last, start, end, digits, shape, separator };
}
