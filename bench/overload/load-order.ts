/** One request of a load; `{n}` in its body becomes a number of its own. */
export interface Shot {
  method: 'GET' | 'POST';
  path: string;
  key: string;
  body?: string;
}

/** What the callers are to do. */
export interface LoadOrder {
  url: string;
  shots: Shot[];
  ms: number;
  /** A closed loop of callers, or requests a second that wait for nobody. */
  load: { callers: number } | { perSecond: number };
}

/** What one request came to: 0 where the connection broke. Milliseconds from sending to the last byte. */
export interface Outcome {
  status: number;
  retryAfter: boolean;
  ms: number;
}

export interface LoadResult {
  /** From the first request to the last answer. */
  seconds: number;
  outcomes: Outcome[];
}
