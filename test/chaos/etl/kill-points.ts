/** Where a run kills (etl.md §14). */
export const killPoints = [
  'K1',
  'K2',
  'K3',
  'K4',
  'K5',
  'K6',
  'K7',
  'K8',
  'K9',
  'K10',
  'K11',
  'K14',
  'K15',
  'random',
  'network',
] as const;
export type KillPointName = (typeof killPoints)[number];

/** What each point is, for people. */
export const meanings: Record<KillPointName, string> = {
  K1: 'event row written, not acknowledged',
  K2: 'acknowledged, wake not sent',
  K3: 'mid-parse',
  K4: 'scrubbed, before the ledger',
  K5: 'embedded, before the memo',
  K6: 'after INTENT',
  K7: 'while the store is written',
  K8: 'after APPLY',
  K9: 'after COMMIT',
  K10: 'continue-as-new',
  K11: 'compaction',
  K14: 'before applyScan',
  K15: 'SIGSTOP past the claim, SIGCONT',
  random: 'anything, at any time',
  network: 'link cut after the request',
};

/** The failpoints that a worker announces, by point. */
export const workerPoints: Partial<Record<KillPointName, string>> = {
  K3: 'etl.k3',
  K4: 'etl.k4',
  K5: 'etl.k5',
  K6: 'etl.k6',
  K7: 'etl.in-write',
  K8: 'etl.k8',
  K9: 'etl.k9',
  K14: 'etl.k14',
};

/** How often each point comes; the write protocol more often than the rest. */
export const weights: Record<KillPointName, number> = {
  K1: 2,
  K2: 1,
  K3: 2,
  K4: 2,
  K5: 2,
  K6: 4,
  K7: 4,
  K8: 5,
  K9: 3,
  K10: 1,
  K11: 1,
  K14: 2,
  K15: 2,
  random: 4,
  network: 2,
};

/** Whether a word names a kill point. */
export const isKillPoint = (word: string): word is KillPointName =>
  (killPoints as readonly string[]).includes(word);
