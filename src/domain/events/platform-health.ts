/** What only the stores know of how the platform stands; ages in seconds, 0 where nothing waits. */
export interface PlatformHealth {
  /** Age past its due time of the oldest start, and of the oldest wake, that was not carried out. */
  startOldestSeconds: number;
  wakeOldestSeconds: number;
  /** Runs past their deadline that nothing has settled, and the age past the deadline of the oldest. */
  unknownEffects: number;
  unknownOldestSeconds: number;
  /** Settled inferences without a decision row. */
  missingDecisions: number;
}

const none: PlatformHealth = {
  startOldestSeconds: 0,
  wakeOldestSeconds: 0,
  unknownEffects: 0,
  unknownOldestSeconds: 0,
  missingDecisions: 0,
};

/** One tenant after the other: counts are added, of ages the oldest is kept. */
export const mergePlatformHealth = (all: readonly PlatformHealth[]): PlatformHealth =>
  all.reduce(
    (sum, one) => ({
      startOldestSeconds: Math.max(sum.startOldestSeconds, one.startOldestSeconds),
      wakeOldestSeconds: Math.max(sum.wakeOldestSeconds, one.wakeOldestSeconds),
      unknownEffects: sum.unknownEffects + one.unknownEffects,
      unknownOldestSeconds: Math.max(sum.unknownOldestSeconds, one.unknownOldestSeconds),
      missingDecisions: sum.missingDecisions + one.missingDecisions,
    }),
    none,
  );

/** How long the tasks of one queue wait for a worker. */
export interface QueueBacklog {
  queue: string;
  tasks: number;
  /** Age of the oldest; 0 where nothing waits. */
  ageSeconds: number;
}

/** The age of the newest version of a kind of key; of tenants' keys the oldest tenant's. */
export interface KeyAge {
  /** `pepper`, `approval`, `field` or `backup`. */
  key: string;
  seconds: number;
}
