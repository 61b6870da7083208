import {
  releaseSummary,
  type ReleaseCheck,
  type ReleaseProgress,
  type RollOutReleaseInput,
} from '../../domain/release/contract.js';

const number = (value: number | null | undefined): string =>
  typeof value === 'number' ? String(Math.round(value * 10_000) / 10_000) : '–';

const row = ({ check, verdict, value, interval, n }: ReleaseCheck): string =>
  `| ${check} | ${verdict} | ${number(value)} | ${
    interval === null || interval === undefined
      ? '–'
      : `${number(interval.low)} … ${number(interval.high)}`
  } | ${n ?? '–'} |`;

/** What the Web UI shows as current details: the step and its checks, names and numbers only. */
export function releaseDetails(input: RollOutReleaseInput, progress: ReleaseProgress): string {
  const { state, reason, movedEpoch, checks, laggards } = progress;
  const head = `**${releaseSummary(input)}** · ${state} · epoch ${movedEpoch ?? '–'}\n\n${reason}`;
  const table =
    checks.length === 0
      ? ''
      : `\n\n| check | verdict | value | interval | n |\n|---|---|---|---|---|\n${checks.map(row).join('\n')}`;
  const late = laggards.length === 0 ? '' : `\n\nlate: ${laggards.join('; ')}`;
  return head + table + late;
}
