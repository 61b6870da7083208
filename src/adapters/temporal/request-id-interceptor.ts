import type { WorkflowClientInterceptor } from '@temporalio/client';
import { REQUEST_ID_MEMO, requestIdHeaders } from '../../domain/request-id.js';

const headersOf = (memo: Record<string, unknown> | undefined) => {
  const requestId = memo?.[REQUEST_ID_MEMO];
  return typeof requestId === 'string' ? requestIdHeaders(requestId) : {};
};

/** Sends the request's id of a run's memo as a header too: a memo reaches no activity, and a signal has none. */
export const requestIdInterceptor: WorkflowClientInterceptor = {
  startWithDetails: (input, next) =>
    next({ ...input, headers: { ...input.headers, ...headersOf(input.options.memo) } }),
  signalWithStart: (input, next) =>
    next({ ...input, headers: { ...input.headers, ...headersOf(input.options.memo) } }),
};
