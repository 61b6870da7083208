import type { QueryFigure } from './query.js';
import type { Figure } from './report.js';

/** What was measured, part by part; a part that never ran is missing. */
export interface Parts {
  durable?: { figures: Figure[] };
  query?: { figures: QueryFigure[] };
}

interface ResultRow {
  case: string;
  metric: string;
  ours: number;
  /** The better of the others, or the target. */
  baseline: number;
  ratio: number;
}

const cases = { cold: 'cold', unchanged: 'unchanged', touched: 'touched', '1 % edited': 'edit' };
const targets = { p50: 15, p95: 30 };

const row = (of: Omit<ResultRow, 'ratio'>): ResultRow => ({ ...of, ratio: of.ours / of.baseline });

/** The figures of the targets in the form that all benchmarks share: ours, what it is held against, and the ratio. */
export function resultRows({ durable, query }: Parts): ResultRow[] {
  const rates = Object.entries(cases).flatMap(([phase, name]) => {
    const own = durable?.figures.filter((figure) => figure.phase === phase) ?? [];
    const rateOf = (isOurs: boolean): number =>
      Math.max(
        ...own
          .filter(({ side }) => (side === 'Anneal') === isOurs)
          .map(({ documentsPerSecond }) => documentsPerSecond),
      );
    if (own.length < 2) return [];
    return [row({ case: name, metric: 'docs/s', ours: rateOf(true), baseline: rateOf(false) })];
  });
  const latencies = (query?.figures ?? [])
    .filter(({ mode }) => mode === 'hybrid')
    .flatMap((figure) =>
      (['p50', 'p95'] as const).map((metric) =>
        row({ case: 'query', metric, ours: figure[metric], baseline: targets[metric] }),
      ),
    );
  return [...rates, ...latencies];
}
