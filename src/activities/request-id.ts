import { AsyncLocalStorage } from 'node:async_hooks';
import type { ActivityInboundCallsInterceptor } from '@temporalio/worker';
import { requestIdOf } from '../domain/request-id.js';

const requests = new AsyncLocalStorage<string | undefined>();

/** The request that began the work which the current activity is part of; undefined where no request did. */
export const currentRequestId = (): string | undefined => requests.getStore();

/** Makes the id of the request known to everything that an activity calls. The outermost interceptor of a worker. */
export const carryRequestId: ActivityInboundCallsInterceptor = {
  execute: (input, next) => requests.run(requestIdOf(input.headers), () => next(input)),
};
