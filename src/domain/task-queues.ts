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

/**
 * Queues on which workflows run; the others carry activities alone, and their workers load no workflow code: each bundle
 * takes a thread, its memory and about a second of a core.
 */
const workflowQueues = ['orchestration', 'inference'] as const satisfies WorkerRole[];
export type WorkflowQueue = (typeof workflowQueues)[number];

/** True where runs are started on this queue. */
export const runsWorkflows = (role: WorkerRole): role is WorkflowQueue =>
  (workflowQueues as readonly WorkerRole[]).includes(role);
