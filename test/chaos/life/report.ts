import { chaosTable } from '../chaos-table.js';
import type { Verdict } from './checker.js';
import { faultKinds, killing, meanings, type FaultKind } from './faults.js';
import type { FaultLine } from './log-lines.js';

/** What faults of one kind came to. */
interface KindReport {
  rounds: number;
  kills: number;
  /** Longest time until callers got answers again, in milliseconds. */
  slowestMs: number;
}

/** What a run came to. */
export interface LifeReport {
  seed: number;
  /** Kills that were asked for. */
  kills: number;
  only: FaultKind | undefined;
  kinds: Map<FaultKind, KindReport>;
  /** Processes that ended by themselves, and a run that came to nothing. */
  crashes: string[];
  faults: FaultLine[];
  verdict: Verdict | undefined;
  seconds: number;
}

export const killsOf = ({ kinds }: LifeReport): number =>
  [...kinds.values()].reduce((sum, { kills }) => sum + kills, 0);

/** Kinds of kill that a run of this size has to meet and has not met. */
export const notMet = ({ kinds, kills, only }: LifeReport): FaultKind[] =>
  only !== undefined || kills < killing.length
    ? []
    : killing.filter((kind) => (kinds.get(kind)?.kills ?? 0) === 0);

/** Whether there were enough kills, of every kind, and links were disturbed where all kinds take part. */
export function isEnough(report: LifeReport, { kills }: { kills: number }): boolean {
  if (killsOf(report) < kills) return false;
  if (report.only !== undefined) return true;
  return faultKinds.every((kind) => (report.kinds.get(kind)?.rounds ?? 0) > 0);
}

const findingsOf = ({ verdict }: LifeReport, id?: string): string[] =>
  (verdict?.judgements ?? [])
    .filter((judgement) => id === undefined || judgement.id === id)
    .flatMap(({ findings }) => findings);

/** Requests that were acknowledged and lost, and effects that happened twice. */
const lostAndDouble = (report: LifeReport): { lost: number; double: number } => ({
  lost: findingsOf(report, 'I1').length,
  double: findingsOf(report, 'I2').length,
});

/** PASS, FAIL, or INCONCLUSIVE where no caller was left in doubt, or a kind of kill was never met. */
export function verdictOf(report: LifeReport): 'PASS' | 'FAIL' | 'INCONCLUSIVE' {
  const { verdict, crashes } = report;
  if (verdict === undefined || crashes.length > 0 || findingsOf(report).length > 0) return 'FAIL';
  if (report.kills === 0) return 'PASS';
  return verdict.ambiguous.length > 0 && notMet(report).length === 0 ? 'PASS' : 'INCONCLUSIVE';
}

/** Times by the kind of the newest fault that had begun at each of them. */
function byKind(report: LifeReport, times: readonly number[]): Map<string, number> {
  const begins = report.faults.filter(({ phase }) => phase === 'begin');
  const counts = new Map<string, number>();
  for (const at of times) {
    const kind = begins.findLast((fault) => fault.at <= at)?.kind ?? 'none';
    counts.set(kind, (counts.get(kind) ?? 0) + 1);
  }
  return counts;
}

function kindTable(report: LifeReport): string {
  const table = chaosTable(
    ['fault', 'rounds', 'kills', 'acknowledged', 'ambiguous', 'slowest recovery'],
    'lrrrrr',
  );
  const { verdict } = report;
  const acknowledged = byKind(report, verdict?.acknowledgedAt ?? []);
  const ambiguous = byKind(report, verdict?.ambiguous.map(({ at }) => at) ?? []);
  const countsOf = (kind: string): [string, string] => [
    String(acknowledged.get(kind) ?? 0),
    String(ambiguous.get(kind) ?? 0),
  ];
  if (acknowledged.has('none')) table.push(['before any fault', '', '', ...countsOf('none'), '']);
  for (const kind of faultKinds) {
    const row = report.kinds.get(kind);
    if (row === undefined) continue;
    table.push([
      `${kind}: ${meanings[kind]}`,
      String(row.rounds),
      String(row.kills),
      ...countsOf(kind),
      `${(row.slowestMs / 1000).toFixed(1)} s`,
    ]);
  }
  return table.toString();
}

function invariantTable({ verdict }: LifeReport): string {
  const table = chaosTable(['', 'looked at', 'number', 'findings', 'verdict'], 'llrrl');
  for (const { id, what, judged, findings, notApplicable, note } of verdict?.judgements ?? [])
    table.push([
      id,
      note === undefined ? what : `${what} (${note})`,
      String(judged),
      String(findings.length),
      findings.length > 0
        ? 'VIOLATED'
        : notApplicable === undefined
          ? 'holds'
          : `not applicable: ${notApplicable}`,
    ]);
  return table.toString();
}

/** Findings of one invariant that are printed; the verdict file has all. */
const PRINTED = 6;

/** The command that runs the same seed again. */
const again = ({ seed, kills, only }: LifeReport): string =>
  `npm run chaos -- --seed ${seed} --kills ${kills}${only === undefined ? '' : ` --only ${only}`}`;

/** The figures of a run, for people and for the verdict file. */
function figuresOf(report: LifeReport) {
  const { verdict, seed, seconds } = report;
  return {
    verdict: verdictOf(report),
    seed,
    kills: killsOf(report),
    acknowledged: verdict?.acknowledged ?? 0,
    ambiguous: verdict?.ambiguous.length ?? 0,
    ...lostAndDouble(report),
    seconds: Math.round(seconds),
    again: again(report),
  };
}

/** Both tables of a run, its figures, and below them what was found. */
export function printReport(report: LifeReport): string {
  const of = figuresOf(report);
  const found = (report.verdict?.judgements ?? []).flatMap(({ id, findings }) => [
    ...findings.slice(0, PRINTED).map((finding) => `  ${id}: ${finding}`),
    ...(findings.length > PRINTED ? [`  ${id}: and ${findings.length - PRINTED} more`] : []),
  ]);
  return [
    kindTable(report),
    invariantTable(report),
    `${of.verdict} · seed ${of.seed} · ${of.kills} kills · ${of.acknowledged} acknowledged · ${of.ambiguous} ambiguous · ${of.lost} lost · ${of.double} double · ${of.seconds} s · again: ${of.again}`,
    ...notMet(report).map((kind) => `  no kill of kind ${kind}`),
    ...report.crashes.map((crash) => `  crash: ${crash}`),
    ...found,
  ].join('\n');
}

/** What the verdict file holds. */
export const verdictFile = (report: LifeReport) => ({
  ...figuresOf(report),
  kinds: Object.fromEntries(report.kinds),
  crashes: report.crashes,
  judgements: report.verdict?.judgements ?? [],
  ambiguousRequests: report.verdict?.ambiguous ?? [],
});
