import type { Headers } from '@temporalio/common';
import { headerValue } from './header-value.js';

/** Temporal header of the tracing interceptors: the trace that the work is part of. */
export const TRACE_ID_HEADER = '_tracer-data';

/** The trace that Temporal headers name (W3C trace context): 32 hexadecimal digits. */
export function traceIdOf(headers: Headers): string | undefined {
  const carrier = headerValue(headers, TRACE_ID_HEADER) as { traceparent?: unknown } | undefined;
  const parent = carrier?.traceparent;
  return typeof parent === 'string' ? /^00-([0-9a-f]{32})-/.exec(parent)?.[1] : undefined;
}
