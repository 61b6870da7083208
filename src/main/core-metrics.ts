/** What Temporal core gives as the reason of a failed task: `FailureReason` of its telemetry/metrics.rs. */
export const coreFailureReasons = [
  'NonDeterminismError',
  'WorkflowError',
  'ActivityError',
  'GrpcMessageTooLarge',
  'PayloadsTooLarge',
  'ExternalStorageError',
] as const;

/** Series of Temporal core that alerts and dashboards read, on the worker's port `ANNEAL_TEMPORAL_METRICS_PORT`. */
export const coreMetrics: readonly {
  name: string;
  type: 'counter' | 'gauge' | 'histogram';
  labels: readonly string[];
  help: string;
  /** Begins with the first failure of its kind. */
  onlyInTrouble?: true;
}[] = [
  {
    name: 'temporal_activity_execution_failed',
    type: 'counter',
    labels: ['activity_type', 'workflow_type', 'failure_reason', 'task_queue'],
    help: 'Attempts of activities that failed.',
    onlyInTrouble: true,
  },
  {
    name: 'temporal_activity_schedule_to_start_latency',
    type: 'histogram',
    labels: ['task_queue'],
    help: 'Milliseconds that activities wait for a worker.',
  },
  {
    name: 'temporal_num_pollers',
    type: 'gauge',
    labels: ['task_queue', 'poller_type'],
    help: 'Polls that are open.',
  },
  {
    name: 'temporal_request_latency',
    type: 'histogram',
    labels: ['operation'],
    help: 'Milliseconds that calls of the Temporal server take.',
  },
  {
    name: 'temporal_sticky_cache_size',
    type: 'gauge',
    labels: ['task_queue'],
    help: 'Runs that a worker holds in memory.',
  },
  {
    name: 'temporal_worker_task_slots_available',
    type: 'gauge',
    labels: ['task_queue', 'worker_type'],
    help: 'Slots that are free.',
  },
  {
    name: 'temporal_worker_task_slots_used',
    type: 'gauge',
    labels: ['task_queue', 'worker_type'],
    help: 'Slots that are taken.',
  },
  {
    name: 'temporal_workflow_completed',
    type: 'counter',
    labels: ['workflow_type', 'task_queue'],
    help: 'Runs that completed.',
  },
  {
    name: 'temporal_workflow_endtoend_latency',
    type: 'histogram',
    labels: ['workflow_type', 'task_queue'],
    help: 'Milliseconds from the start of a run to its end.',
  },
  {
    name: 'temporal_workflow_failed',
    type: 'counter',
    labels: ['workflow_type', 'task_queue'],
    help: 'Runs that failed.',
    onlyInTrouble: true,
  },
  {
    name: 'temporal_workflow_task_execution_failed',
    type: 'counter',
    labels: ['workflow_type', 'failure_reason', 'task_queue'],
    help: 'Workflow tasks that failed and are tried again until the code is mended.',
    onlyInTrouble: true,
  },
  {
    name: 'temporal_workflow_task_schedule_to_start_latency',
    type: 'histogram',
    labels: ['task_queue'],
    help: 'Milliseconds that workflow tasks wait for a worker.',
  },
];
