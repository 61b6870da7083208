import { defaultPayloadConverter, type Headers } from '@temporalio/common';

/** Temporal header of the request that began the work, from the client to the last activity. */
export const REQUEST_ID_HEADER = 'anneal-request-id';

/** Temporal header of the tracing interceptors: the trace that the work is part of. */
export const TRACE_HEADER = '_tracer-data';

/** Memo of a run: the same id where operators see it, in the workflow's page of the Web UI. */
export const REQUEST_ID_MEMO = 'requestId';

const valueOf = (headers: Headers, name: string): unknown => {
  const payload = headers[name];
  return payload === undefined ? undefined : defaultPayloadConverter.fromPayload(payload);
};

/** Headers that name a request. */
export const requestIdHeaders = (requestId: string): Headers => ({
  [REQUEST_ID_HEADER]: defaultPayloadConverter.toPayload(requestId),
});

/** The request that Temporal headers name; undefined where they name none, as in runs that a Schedule starts. */
export function requestIdOf(headers: Headers): string | undefined {
  const value = valueOf(headers, REQUEST_ID_HEADER);
  return typeof value === 'string' ? value : undefined;
}

/** The trace that Temporal headers name (W3C trace context): 32 hexadecimal digits. */
export function traceIdOf(headers: Headers): string | undefined {
  const carrier = valueOf(headers, TRACE_HEADER) as { traceparent?: unknown } | undefined;
  const parent = carrier?.traceparent;
  return typeof parent === 'string' ? /^00-([0-9a-f]{32})-/.exec(parent)?.[1] : undefined;
}
