/** The limits that an admission writes into its plan; configuration, not constants. */
export interface InferenceLimits {
  /** Of one attempt, in milliseconds. */
  attemptTimeoutMs: number;
  maxAttempts: number;
  triesPerCandidate: number;
  backoff: { baseMs: number; capMs: number };
  retryAfterCapMs: number;
  /** Where the caller names none. */
  deadlineMs: number;
  workflowTaskTimeoutMs: number;
}

/** The limits of gateway.md §5 and `temporal.md` §6 for models that run in the worker. */
export const defaultInferenceLimits: InferenceLimits = {
  attemptTimeoutMs: 1_000,
  maxAttempts: 4,
  triesPerCandidate: 2,
  backoff: { baseMs: 250, capMs: 60_000 },
  retryAfterCapMs: 120_000,
  deadlineMs: 3_600_000,
  workflowTaskTimeoutMs: 3_000,
};
