import { AsyncLocalStorage } from 'node:async_hooks';
import type { WorkflowClientInterceptor } from '@temporalio/client';
import { REQUEST_ID_MEMO, requestIdHeaders } from '../../domain/request-id.js';

const headersOf = (requestId: unknown) =>
  typeof requestId === 'string' ? requestIdHeaders(requestId) : {};

const updating = new AsyncLocalStorage<string | undefined>();

/** Sends the updates of `work` on behalf of a request: their options have no place for its id. */
export const withRequestId = <T>(
  requestId: string | undefined,
  work: () => Promise<T>,
): Promise<T> => updating.run(requestId, work);

/**
 * Sends the request's id as a header: of a start that of its memo, because a memo reaches no activity and a signal has
 * none; of an update that of `withRequestId`.
 */
export const requestIdInterceptor: WorkflowClientInterceptor = {
  startWithDetails: (input, next) =>
    next({
      ...input,
      headers: { ...input.headers, ...headersOf(input.options.memo?.[REQUEST_ID_MEMO]) },
    }),
  signalWithStart: (input, next) =>
    next({
      ...input,
      headers: { ...input.headers, ...headersOf(input.options.memo?.[REQUEST_ID_MEMO]) },
    }),
  startUpdate: (input, next) =>
    next({ ...input, headers: { ...input.headers, ...headersOf(updating.getStore()) } }),
};
