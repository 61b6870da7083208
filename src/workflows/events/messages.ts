import { defineQuery, defineUpdate } from '@temporalio/workflow';
import type { WaitingOn } from '../../domain/search-attributes.js';
import type { Verdict } from '../../domain/verdict.js';

/** What every workflow answers about itself; the API answers from Postgres and never needs it. */
export interface WorkflowStatus {
  state: string;
  /** Milliseconds since the epoch. */
  sinceMs: number;
  waitingOn: WaitingOn;
  step?: string;
  verdicts?: { name: string; verdict: Verdict }[];
  /** When the run looks again by itself, in milliseconds since the epoch. */
  nextAtMs?: number;
}

/**
 * The one update there is: "a fact that concerns you is in Postgres". An update and not a signal, because the sender
 * must learn that the run is closing. It carries an id only, so a forged one makes the run read facts and find none.
 */
export const wakeUpdate = defineUpdate<void, [{ factId: string }]>('wake');

/** The state of the run for people with a shell; cheap, changes nothing. */
export const getStatusQuery = defineQuery<WorkflowStatus>('getStatus');
