import pg from 'pg';
import { RateLimiterMemory, RateLimiterPostgres, RateLimiterRes } from 'rate-limiter-flexible';

/** What all processes together have asked for in a window. */
interface Count {
  points: number;
  /** ms until the window ends. */
  leftMs: number;
  /** False where this process alone is counted, because the store does not answer. */
  isShared: boolean;
}

/** Counts in windows: shared by all processes, or of this one while the store does not answer. */
export interface CountedStore {
  /** Adds to a count of a window and answers it. Never throws. */
  add: (of: { key: string; points: number; windowMs: number }) => Promise<Count>;
  /** Lets a count stand above every limit for so long. */
  block: (key: string, ms: number) => Promise<void>;
  close: () => Promise<void>;
}

/** A store that did not answer is left alone for so long. */
const COOL_DOWN_MS = 1_000;
/** Far above every limit, and far below what the column holds. */
const BLOCKED_POINTS = 1_000_000_000;
const CONNECTIONS = 2;

/** How the counts are kept. */
export interface CountedStoreOptions {
  /** Postgres as `anneal_api`; connections of its own, so that a limit can be asked for while the others are busy. */
  url: string;
  /** How long the store may take (1,000). */
  patienceMs?: number;
  /** Told each time the store did not answer. */
  onDown: (reason: string) => void;
}

function openPool(url: string, patienceMs: number): pg.Pool {
  const pool = new pg.Pool({
    connectionString: url,
    max: CONNECTIONS,
    application_name: 'anneal-rates',
    connectionTimeoutMillis: patienceMs,
    query_timeout: patienceMs,
    statement_timeout: patienceMs,
  });
  // Lost connections are replaced at the next use; an error without a listener would end the process.
  pool.on('error', () => undefined);
  pool.on('connect', (client) => void client.on('error', () => undefined));
  return pool;
}

/** Opens counts over `admission_bucket`, with counts in memory beside it. */
export function openCountedStore(options: CountedStoreOptions): CountedStore {
  const { url, patienceMs = 1_000, onDown } = options;
  const pool = openPool(url, patienceMs);
  // Refusing is left to whoever compares the count with a limit: here nothing is ever too much.
  const counted = { points: Number.MAX_SAFE_INTEGER, duration: 60, keyPrefix: '' };
  const shared = new RateLimiterPostgres({
    ...counted,
    storeClient: pool,
    storeType: 'pool',
    tableName: 'admission_bucket',
    tableCreated: true,
  });
  const own = new RateLimiterMemory(counted);
  let downUntil = 0;
  const inStore = async <T>(work: () => Promise<T>): Promise<T | undefined> => {
    if (performance.now() < downUntil) return undefined;
    try {
      return await work();
    } catch (error) {
      if (error instanceof RateLimiterRes)
        throw new Error('a count without a limit refused', { cause: error });
      downUntil = performance.now() + COOL_DOWN_MS;
      onDown(String(error));
      return undefined;
    }
  };
  return {
    add: async ({ key, points, windowMs }) => {
      const window = { customDuration: windowMs / 1_000 };
      const found = await inStore(() => shared.consume(key, points, window));
      // Counted here too: what this process got from the store is not there a second time when the store goes.
      const mine = await own.consume(key, points, window);
      const { consumedPoints, msBeforeNext } = found ?? mine;
      return { points: consumedPoints, leftMs: msBeforeNext, isShared: found !== undefined };
    },
    block: async (key, ms) => {
      await inStore(() => shared.set(key, BLOCKED_POINTS, ms / 1_000));
      await own.set(key, BLOCKED_POINTS, ms / 1_000);
    },
    close: () => pool.end(),
  };
}
