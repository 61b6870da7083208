import { chaosTable } from '../chaos-table.js';
import type { Finding, FindingKind } from './findings.js';
import { killPoints, meanings, type KillPointName } from './kill-points.js';

/** What a run came to at one point. */
export interface PointReport {
  rounds: number;
  kills: number;
  inDoubt: number;
  findings: Finding[];
  paid: number;
  changed: number;
  /** Labels of the rounds. */
  labels: string[];
}

/** What a whole run came to. */
export interface Report {
  seed: number;
  /** Kills that were asked for, at whatever point; undefined where one point alone was. */
  wanted: number | undefined;
  points: Map<KillPointName, PointReport>;
  /** Cold load: embeds and changed chunks before the first kill. */
  cold: { paid: number; changed: number };
  /** Findings with the label of the round that showed them. */
  findings: { label: string; finding: Finding }[];
  seconds: number;
}

/** Embeds for each chunk that changed, at most (etl.md G4). */
const MOST_EMBEDS = 1.05;

export const emptyPoint = (): PointReport => ({
  rounds: 0,
  kills: 0,
  inDoubt: 0,
  findings: [],
  paid: 0,
  changed: 0,
  labels: [],
});

const sum = (report: Report, of: (point: PointReport) => number): number =>
  [...report.points.values()].reduce((total, point) => total + of(point), 0);

export const killsOf = (report: Report): number => sum(report, ({ kills }) => kills);

/** Kill points that no kill has met; cutting links kills nobody. */
export const notHit = (report: Report): KillPointName[] =>
  killPoints.filter((point) => point !== 'network' && (report.points.get(point)?.kills ?? 0) === 0);

/** Whether a run of this size has to meet every point. */
const hasToMeetAll = ({ wanted = 0 }: Report): boolean => wanted >= killPoints.length;

/** Rounds of a point after which a run gives it up. */
export const MOST_TRIES = 3;

/** Whether there were enough kills, and at every point where a run of this size has to meet them all. */
export function isEnough(report: Report, kills: number): boolean {
  if (killsOf(report) < kills) return false;
  const triesOf = (point: KillPointName) => report.points.get(point)?.rounds ?? 0;
  return !hasToMeetAll(report) || notHit(report).every((point) => triesOf(point) >= MOST_TRIES);
}

/** Paid embeds for each changed chunk over the whole run. */
function embedsPerChange(report: Report): number {
  const paid = report.cold.paid + sum(report, (point) => point.paid);
  const changed = report.cold.changed + sum(report, (point) => point.changed);
  return changed === 0 ? 0 : paid / changed;
}

/** PASS, FAIL, or INCONCLUSIVE where no kill met an intent whose effect was in doubt, or a point was never met. */
export function verdictOf(report: Report): 'PASS' | 'FAIL' | 'INCONCLUSIVE' {
  if (report.findings.length > 0 || embedsPerChange(report) > MOST_EMBEDS) return 'FAIL';
  if (hasToMeetAll(report) && notHit(report).length > 0) return 'INCONCLUSIVE';
  return sum(report, ({ inDoubt }) => inDoubt) > 0 ? 'PASS' : 'INCONCLUSIVE';
}

const count = (point: PointReport, ...kinds: FindingKind[]): number =>
  point.findings.filter(({ kind }) => kinds.includes(kind)).length;

const ratio = (paid: number, changed: number): string =>
  changed === 0 ? '–' : (paid / changed).toFixed(3);

function rowOf(name: string, point: PointReport): string[] {
  const { kills, inDoubt, paid, changed, labels } = point;
  return [
    name,
    String(kills),
    String(inDoubt),
    String(count(point, 'orphan')),
    String(count(point, 'duplicate')),
    String(count(point, 'miss', 'quarantine')),
    String(count(point, 'stale', 'access')),
    ratio(paid, changed),
    labels.length <= 3 ? labels.join(' ') : `${labels.slice(0, 2).join(' ')} … ${labels.at(-1)}`,
  ];
}

/** The table of a run, and below it what was found. */
export function printReport(report: Report): string {
  const table = chaosTable(
    [
      'kill point',
      'kills',
      'in doubt',
      'orphans',
      'duplicates',
      'misses',
      'stale reads',
      'embeds/change',
      'rounds',
    ],
    'lrrrrrrrl',
  );
  const all = emptyPoint();
  for (const name of killPoints) {
    const point = report.points.get(name);
    if (point === undefined) continue;
    table.push(rowOf(`${name} ${meanings[name]}`, point));
    for (const key of ['rounds', 'kills', 'inDoubt', 'paid', 'changed'] as const)
      all[key] += point[key];
    all.findings.push(...point.findings);
  }
  all.paid += report.cold.paid;
  all.changed += report.cold.changed;
  const cold = report.cold;
  table.push(['cold load', '', '', '', '', '', '', ratio(cold.paid, cold.changed), '']);
  table.push(rowOf(`all ${all.rounds} rounds`, all));
  const found = report.findings.map(
    ({ label, finding }) => `  ${label}: ${finding.kind} by ${finding.path}: ${finding.detail}`,
  );
  return [
    table.toString(),
    `seed ${report.seed} · ${verdictOf(report)} · ${killsOf(report)} kills in ${Math.round(report.seconds)} s · again: npm run chaos:etl -- --seed ${report.seed} --kills ${killsOf(report)}`,
    ...found,
  ].join('\n');
}
