import { errorTable } from '../../src/domain/errors.js';
import { mergePlatformHealth } from '../../src/domain/events/platform-health.js';
import { workerRoles } from '../../src/domain/task-queues.js';
import { coreFailureReasons, coreMetrics } from '../../src/main/core-metrics.js';
import { readinessChecks } from '../../src/main/internal-listener.js';
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

/** Parts of the selectors of an expression: series, label and what is asked of its value. */
const selected = (expression: string): { name: string; label: string; text: string }[] =>
  [...expression.matchAll(/\b([a-z_0-9]+)\{([^}]*)\}/g)].flatMap(([, name = '', selector = '']) =>
    [...selector.matchAll(/([a-z_]+)\s*(?:=~|!~|!=|=)\s*"([^"]*)"/g)].map(
      ([, label = '', text = '']) => ({ name, label, text }),
    ),
  );

/**
 * Values that a label of a series may have, by `series label`: those that come out of the code when a process begins, and
 * when it writes what it writes later.
 */
export function knownValues(): Map<string, Set<string>> {
  const metrics = createMetrics();
  metrics.platform.publishHealth({
    stores: mergePlatformHealth([]),
    backlogs: workerRoles.map((queue) => ({ queue, tasks: 0, ageSeconds: 0 })),
    keys: ['pepper', 'approval', 'pseudonym', 'field'].map((key) => ({ key, seconds: 0 })),
  });
  for (const check of readinessChecks) metrics.platform.setReady(check, true);
  for (const { status } of [{ status: 200 }, ...Object.values(errorTable)])
    metrics.edge.observeRequest({ operation: 'any', status, seconds: 0 });
  metrics.knowledge.etl.observe.applied({
    sourceKind: 'any',
    changeKind: 'upsert',
    lagSeconds: 0,
    changedLagSeconds: 0,
  });
  const known = new Map<string, Set<string>>();
  const note = (series: string, label: string, value: string) => {
    const values = known.get(`${series} ${label}`) ?? new Set<string>();
    known.set(`${series} ${label}`, values.add(value));
  };
  const samples = metrics.registry.getMetricsAsArray() as unknown as Sampled[];
  for (const { name, type, hashMap } of samples)
    for (const { labels } of Object.values(hashMap ?? {}))
      for (const [label, value] of Object.entries(labels))
        for (const suffix of type === 'histogram' ? SUFFIXES : [''])
          if (value !== 'any') note(`${name}${suffix}`, label, String(value));
  for (const [name, labels] of coreMetrics.flatMap(series)) {
    if (labels.includes('task_queue'))
      for (const queue of workerRoles) note(name, 'task_queue', queue);
    if (labels.includes('failure_reason'))
      for (const reason of coreFailureReasons) note(name, 'failure_reason', reason);
  }
  return known;
}

/** A metric with its samples, as the library holds them. */
interface Sampled {
  name: string;
  type: string;
  hashMap?: Record<string, { labels: Record<string, string | number> }>;
}

/**
 * Values that an expression names and that nothing emits: a rule that waits for one never fires. An alternative of a
 * regular expression counts where it fits one value at least. With `?` where nobody knows the values of that label.
 */
export function unknownValuesIn(
  expression: string,
  known: ReadonlyMap<string, ReadonlySet<string>>,
): string[] {
  return selected(expression)
    .filter(({ label }) => !ALWAYS.includes(label))
    .flatMap(({ name, label, text }) => {
      const values = known.get(`${name} ${label}`);
      const fits = (one: string) =>
        [...(values ?? [])].some((value) => new RegExp(`^(?:${one})$`).test(value));
      return text
        .split('|')
        .filter((one) => !fits(one))
        .map((one) => `${name}{${label}=${one}}${values === undefined ? '?' : ''}`);
    });
}
