/** What a round does to the product. */
export const faultKinds = [
  'worker',
  'worker-point',
  'api',
  'api-point',
  'postgres',
  'temporal',
  'zombie',
  'latency',
  'reset',
  'blackhole',
  'cut',
] as const;
export type FaultKind = (typeof faultKinds)[number];

/** What each kind is, for people. */
export const meanings: Record<FaultKind, string> = {
  worker: 'SIGKILL of the worker, at any time',
  'worker-point': 'SIGKILL at a failpoint of the worker: of it, or of Postgres',
  api: 'SIGKILL of the API, at any time',
  'api-point': 'SIGKILL at a failpoint of the API: of it, or of Postgres',
  postgres: 'SIGKILL of all Postgres processes',
  temporal: 'SIGKILL of Temporal',
  zombie: 'SIGSTOP of the worker, another takes over, SIGCONT',
  latency: 'a link gets slow',
  reset: 'a link is reset',
  blackhole: 'a link goes silent, both ways or one',
  cut: 'a link is cut after a request has passed',
};

/** Kinds that kill; a run has to meet each of them. */
export const killing: readonly FaultKind[] = [
  'worker',
  'worker-point',
  'api',
  'api-point',
  'postgres',
  'temporal',
];

/** How often each kind comes once all had their turn. */
export const weights: Record<FaultKind, number> = {
  worker: 3,
  'worker-point': 4,
  api: 2,
  'api-point': 4,
  postgres: 3,
  temporal: 2,
  zombie: 1,
  latency: 1,
  reset: 1,
  blackhole: 1,
  cut: 2,
};

/** Failpoints of the API: around the commit of a change, of an admission, and around the start of a run. */
export const apiPoints = [
  'api.before-commit',
  'api.after-commit',
  'api.before-admit',
  'api.after-admit',
  'api.before-start',
  'api.after-start',
] as const;

/** Failpoints of the worker: around its work, its commits, its settlements, and inside the write of a batch. */
export const workerPoints = [
  'worker.activity-begins',
  'worker.activity-done',
  'worker.before-commit',
  'worker.after-commit',
  'worker.before-settle',
  'worker.after-settle',
  'etl.k5',
  'etl.k6',
  'etl.k8',
  'etl.k9',
] as const;

/** Links between processes, and what passes on each that an effect follows from. */
export const links = {
  'api-postgres': ['COMMIT', 'inference_admit'],
  'api-temporal': ['infer/', ''],
  'worker-postgres': ['COMMIT', 'inference_settle'],
  'worker-temporal': ['infer/', ''],
} as const;
export type Link = keyof typeof links;
export const linkNames = Object.keys(links) as Link[];

/** Whether a word names a kind of fault. */
export const isFaultKind = (word: string): word is FaultKind =>
  (faultKinds as readonly string[]).includes(word);
