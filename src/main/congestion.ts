import { monitorEventLoopDelay } from 'node:perf_hooks';

/** Waits that are kept of a window; more than these are no better sample. */
const MAX_WAITS = 10_000;
const RESOLUTION_MS = 10;

/** What a process feels of its own load. Each reading starts a window. */
export interface Congestion {
  /** A wait for a Postgres connection, ms. */
  observeWait: (ms: number) => void;
  /** 95th percentile of the waits since the last reading; 0 where there were none. */
  poolWaitMs: () => number;
  /** 95th percentile of how late timers of this process fired since the last reading. */
  loopLagMs: () => number;
  close: () => void;
}

/** Nearest rank. */
const p95 = (values: number[]): number =>
  values.sort((a, b) => a - b)[Math.max(0, Math.ceil(values.length * 0.95) - 1)] ?? 0;

/** Watches event loop and database pools. */
export function createCongestion(): Congestion {
  const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  delay.enable();
  let waits: number[] = [];
  return {
    observeWait: (ms) => {
      if (waits.length < MAX_WAITS) waits.push(ms);
    },
    poolWaitMs: () => {
      const value = p95(waits);
      waits = [];
      return value;
    },
    loopLagMs: () => {
      const lag = delay.percentile(95) / 1e6 - RESOLUTION_MS;
      delay.reset();
      return Number.isFinite(lag) ? Math.max(0, lag) : 0;
    },
    close: () => void delay.disable(),
  };
}
