import { setCurrentDetails } from '@temporalio/workflow';
import { setHandler, upsertSearchAttributes } from '@temporalio/workflow';
import { searchAttributes } from '../../domain/search-attributes.js';
import type { Verdict } from '../../domain/verdict.js';
import { getStatusQuery, type WorkflowStatus } from './messages.js';

/** Moves the status; `details` is the Markdown that the Web UI shows as current details (names and numbers only). */
export type MoveStatus = (
  next: Partial<WorkflowStatus> & { state: string; verdict?: Verdict },
  details?: string,
) => void;

/**
 * Answers `getStatus`, and keeps Phase, WaitingOn and Verdict readable in the workflow list. Call it before the first await.
 */
export function trackStatus(first: Omit<WorkflowStatus, 'sinceMs'>): MoveStatus {
  let status: WorkflowStatus = { ...first, sinceMs: Date.now() };
  setHandler(getStatusQuery, () => status);
  return ({ verdict, ...next }, details) => {
    const changed = next.state !== status.state;
    status = { ...status, ...next, sinceMs: changed ? Date.now() : status.sinceMs };
    upsertSearchAttributes([
      { key: searchAttributes.Phase, value: status.state },
      { key: searchAttributes.WaitingOn, value: status.waitingOn },
      ...(verdict === undefined ? [] : [{ key: searchAttributes.Verdict, value: verdict }]),
    ]);
    if (details !== undefined) setCurrentDetails(details);
  };
}
