import type { CliIo } from './cli-deps.js';

/** What a probe found: one line, for people. */
export interface ProbeResult {
  ok: boolean;
  detail: string;
  /** The command that fixes this very failure, where it differs from the probe's. */
  fix?: string | undefined;
}

/** One thing that must be right on this machine. */
export interface Probe {
  name: string;
  /** The signal aborts when the probe's time is over. */
  check: (signal: AbortSignal) => Promise<ProbeResult>;
  /** The command that fixes a failure. */
  fix: string;
  /** Longest time for the check in ms; 10,000 unless named. */
  timeoutMs?: number;
}

/** A probe's line in the report. */
export interface ProbeReport {
  name: string;
  ok: boolean;
  detail: string;
  fix: string | undefined;
  durationMs: number;
}

const TIMEOUT_MS = 10_000;

async function withTimeout(probe: Probe): Promise<ProbeResult> {
  const timeoutMs = probe.timeoutMs ?? TIMEOUT_MS;
  const { promise: late, resolve } = Promise.withResolvers<ProbeResult>();
  const over = new AbortController();
  const timer = setTimeout(() => {
    resolve({ ok: false, detail: `no answer within ${timeoutMs / 1_000} s` });
    over.abort();
  }, timeoutMs);
  try {
    return await Promise.race([probe.check(over.signal), late]);
  } catch (error) {
    return { ok: false, detail: error instanceof Error ? error.message : String(error) };
  } finally {
    clearTimeout(timer);
  }
}

/** Runs the probes side by side, reported in order; a probe that throws or takes too long has failed. */
export async function runProbes(
  probes: readonly Probe[],
  clock: { nowMs: () => number },
): Promise<ProbeReport[]> {
  return Promise.all(
    probes.map(async (probe): Promise<ProbeReport> => {
      const since = clock.nowMs();
      const { ok, detail, fix } = await withTimeout(probe);
      const durationMs = Math.round(clock.nowMs() - since);
      const { name } = probe;
      return { name, ok, detail, fix: ok ? undefined : (fix ?? probe.fix), durationMs };
    }),
  );
}

/** The report as lines, or as one JSON document `{ ok, probes }`. */
export function renderDoctor(
  io: Pick<CliIo, 'paint'>,
  output: 'table' | 'json',
  reports: readonly ProbeReport[],
): string {
  const failed = reports.filter(({ ok }) => !ok).length;
  if (output === 'json') return JSON.stringify({ ok: failed === 0, probes: reports }, null, 2);
  const width = Math.max(...reports.map(({ name }) => name.length), 0);
  const lines = reports.flatMap(({ name, ok, detail, fix }) => {
    const mark = ok ? io.paint('green', '✓') : io.paint('red', '✗');
    const [first = '', ...rest] = detail.split('\n');
    return [
      `${mark} ${name.padEnd(width)}  ${first}`,
      ...rest.map((line) => `  ${' '.repeat(width)}  ${line}`),
      ...(fix === undefined ? [] : [`  ${' '.repeat(width)}  fix: ${fix}`]),
    ];
  });
  const total = `${reports.length - failed} of ${reports.length} in order`;
  return [...lines, failed === 0 ? io.paint('green', total) : io.paint('red', total)].join('\n');
}
