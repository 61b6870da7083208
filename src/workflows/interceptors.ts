import type { Headers } from '@temporalio/common';
import type { WorkflowInterceptorsFactory } from '@temporalio/workflow';
import { REQUEST_ID_HEADER, REQUEST_ID_MEMO, requestIdOf } from '../domain/request-id.js';
import { TRACE_ID_HEADER } from '../domain/trace-id.js';

const pick = (headers: Headers): Headers =>
  Object.fromEntries(
    [REQUEST_ID_HEADER, TRACE_ID_HEADER]
      .map((name) => [name, headers[name]] as const)
      .filter(([, value]) => value !== undefined),
  ) as Headers;

/**
 * Hands the id of a request on to activities, children and next runs: that which began the run, and after a wake or a
 * signal that of the newest request the run was told of, because what it does then, it does for that one. Headers are no
 * part of what replay compares: no history depends on them.
 */
export const interceptors: WorkflowInterceptorsFactory = () => {
  let carried: Headers = {};
  const hear = (headers: Headers): void => {
    const told = pick(headers);
    if (told[REQUEST_ID_HEADER] !== undefined) carried = told;
  };
  // What an interceptor before this one has set is nearer to the call.
  const withCarried = (headers: Headers): Headers => ({ ...carried, ...headers });
  return {
    inbound: [
      {
        execute: (input, next) => {
          carried = { ...pick(input.headers), ...carried };
          return next(input);
        },
        handleSignal: (input, next) => {
          hear(input.headers);
          return next(input);
        },
        handleUpdate: (input, next) => {
          hear(input.headers);
          return next(input);
        },
      },
    ],
    outbound: [
      {
        scheduleActivity: (input, next) => next({ ...input, headers: withCarried(input.headers) }),
        scheduleLocalActivity: (input, next) =>
          next({ ...input, headers: withCarried(input.headers) }),
        startChildWorkflowExecution: (input, next) => {
          const headers = withCarried(input.headers);
          const requestId = requestIdOf(headers);
          const { options } = input;
          return next({
            ...input,
            headers,
            options:
              requestId === undefined
                ? options
                : { ...options, memo: { ...options.memo, [REQUEST_ID_MEMO]: requestId } },
          });
        },
        continueAsNew: (input, next) => next({ ...input, headers: withCarried(input.headers) }),
        getLogAttributes: (input, next) => {
          const requestId = requestIdOf(carried);
          return next(requestId === undefined ? input : { requestId, ...input });
        },
      },
    ],
  };
};
