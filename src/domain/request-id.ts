import { defaultPayloadConverter, type Headers } from '@temporalio/common';
import { headerValue } from './header-value.js';

/** Temporal header of the request that began the work, from the client to the last activity. */
export const REQUEST_ID_HEADER = 'anneal-request-id';

/** Memo of a run: the same id where operators see it, in the workflow's page of the Web UI. */
export const REQUEST_ID_MEMO = 'requestId';

/** Headers that name a request. */
export const requestIdHeaders = (requestId: string): Headers => ({
  [REQUEST_ID_HEADER]: defaultPayloadConverter.toPayload(requestId),
});

/** The request that Temporal headers name; undefined where they name none, as in runs that a Schedule starts. */
export function requestIdOf(headers: Headers): string | undefined {
  const value = headerValue(headers, REQUEST_ID_HEADER);
  return typeof value === 'string' ? value : undefined;
}
