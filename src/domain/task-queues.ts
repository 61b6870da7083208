/** One task queue per worker role; environments are namespaces, not suffixes. */
export const taskQueues = {
  orchestration: 'orchestration',
  inference: 'inference',
  etl: 'etl',
  training: 'training',
} as const;

/** A worker role and, at once, the name of its task queue. */
export type WorkerRole = keyof typeof taskQueues;
export const workerRoles = Object.keys(taskQueues) as WorkerRole[];
