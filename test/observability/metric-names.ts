import { coreMetrics } from '../../src/main/core-metrics.js';
import { createMetrics, declaredMetrics } from '../../src/main/metrics.js';

const SUFFIXES = ['_bucket', '_sum', '_count'];
/** Labels that Prometheus adds, and the one of a histogram's buckets. */
const ALWAYS = ['instance', 'job', 'le'];

/** Names that a scrape declares, and series of it that have a sample. */
export function seriesOf(scrape: string): { declared: Set<string>; sampled: Set<string> } {
  const lines = scrape.split('\n');
  const types = lines.filter((line) => line.startsWith('# TYPE '));
  return {
    declared: new Set(types.map((line) => line.split(' ')[2] ?? '')),
    sampled: new Set(
      lines
        .filter((line) => line !== '' && !line.startsWith('#'))
        .map((line) => line.split(/[ {]/, 1)[0] ?? ''),
    ),
  };
}

const series = (of: {
  name: string;
  type: string;
  labels: readonly string[];
}): [string, string[]][] =>
  (of.type === 'histogram' ? SUFFIXES : ['']).map((suffix) => [
    `${of.name}${suffix}`,
    [...of.labels],
  ]);

/** The series that API and workers declare, as Prometheus stores them, with their labels. */
export const emittedSeries = (): Map<string, string[]> =>
  new Map(
    declaredMetrics(createMetrics()).flatMap(({ name, type, labelNames }) =>
      series({ name, type, labels: labelNames }),
    ),
  );

/** Those, and Temporal core's that the project relies on. */
export const knownSeries = (): Map<string, string[]> =>
  new Map([...emittedSeries(), ...coreMetrics.flatMap(series)]);

/** Names of metrics that an expression or a document speaks of. */
export const namesIn = (text: string): string[] => [
  ...new Set(
    [...text.matchAll(/\b(?:anneal|temporal|process|nodejs)_[a-z0-9_]*[a-z0-9]\b/g)].map(
      ([name]) => name,
    ),
  ),
];

/** What an expression asks for that nothing emits: a name, or a label of a name. */
export function unknownIn(expression: string, known: ReadonlyMap<string, string[]>): string[] {
  const names = namesIn(expression).filter((name) => !known.has(name));
  const labels = [...expression.matchAll(/\b([a-z_0-9]+)\{([^}]*)\}/g)].flatMap(
    ([, name = '', selector = '']) =>
      [...selector.matchAll(/([a-z_]+)\s*(?:=~|!~|!=|=)/g)]
        .map(([, label = '']) => label)
        .filter((label) => ![...(known.get(name) ?? []), ...ALWAYS].includes(label))
        .map((label) => `${name}{${label}}`),
  );
  return [...names, ...labels];
}
