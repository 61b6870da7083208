import type { searchAttributes } from '../search-attributes.js';
import type { WorkflowQueue } from '../task-queues.js';

/** Temporal priority: 1 interactive, 3 durable, 4 batch, 5 shadow and evaluation (gateway.md §9). */
export type PriorityKey = 1 | 2 | 3 | 4 | 5;

/** How a workflow is started and seen. Everything here is readable by operators: names and numbers only. */
export interface StartOptions {
  /** The line an operator reads in the workflow list, such as `credit v7 → prod`. */
  summary: string;
  searchAttributes: Partial<Record<keyof typeof searchAttributes, string>>;
  priorityKey: PriorityKey;
  /** 2–3 s for user-facing runs, so that a lost worker is noticed soon; the engine's 10 s otherwise. */
  workflowTaskTimeoutMs?: number;
  /** A hard end of the whole run; entities and waits have none. */
  executionTimeoutMs?: number;
  /** The request that asks for the run; whoever writes the intent sets it. */
  requestId?: string | undefined;
}

/** One workflow to start: the intent that is written before the start. */
export interface StartRequest {
  /** `<kind>/<tenant>/<id>`. */
  workflowId: string;
  workflowType: string;
  taskQueue: WorkflowQueue;
  /** The one input object; it carries ids and limits, never data, and always `tenant`. */
  input: { tenant: string } & Record<string, unknown>;
  options: StartOptions;
  /** `api`: the API starts it after commit, the relay only what a crash left; `relay`: the relay starts it at once. */
  startedBy: 'api' | 'relay';
}

/**
 * A workflow that should look at a fact: the update `wake({factId})` of a running one. With `start` it is an entity that
 * may not be running: the signal `changesRecorded` starts it where it is not.
 */
export interface WakeRequest {
  workflowId: string;
  factId: string;
  start?: StartRequest | undefined;
  /** The request that made the fact; whoever writes the wake sets it. */
  requestId?: string | undefined;
}

/** One CloudEvent of the outbox: ids, states, verdicts and digests, never content. */
export interface DomainEvent {
  /** `anneal.<capability>.<past tense>.v1`. */
  type: string;
  subject: string;
  data: Record<string, unknown>;
}
