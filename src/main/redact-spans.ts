import type { tracing } from '@opentelemetry/sdk-node';

// Whatever an instrumentation puts on a span, this alone leaves: names, ids, counts and codes. Inputs, addresses with
// their queries, SQL and the words of errors do not.
const SHOWN = new Set([
  'anneal.operation',
  'anneal.request_id',
  'attempt',
  'db.namespace',
  'db.operation.name',
  'db.system',
  'db.system.name',
  'exception.type',
  'express.type',
  'http.method',
  'http.request.method',
  'http.response.status_code',
  'http.route',
  'http.status_code',
  'namespace',
  'runId',
  'run_id',
  'taskQueue',
  'temporalActivityId',
  'temporalUpdateId',
  'temporalWorkflowId',
  'workflowId',
  'workflowType',
]);

type Attributes = tracing.ReadableSpan['attributes'];

const shown = (attributes: Attributes | undefined): Attributes =>
  Object.fromEntries(Object.entries(attributes ?? {}).filter(([name]) => SHOWN.has(name)));

/** A span as it may be seen, field by field: `status` keeps its code, an exception its type. */
const redacted = (span: tracing.ReadableSpan): tracing.ReadableSpan => ({
  name: span.name,
  kind: span.kind,
  spanContext: () => span.spanContext(),
  ...(span.parentSpanContext === undefined ? {} : { parentSpanContext: span.parentSpanContext }),
  startTime: span.startTime,
  endTime: span.endTime,
  duration: span.duration,
  ended: span.ended,
  status: { code: span.status.code },
  attributes: shown(span.attributes),
  links: span.links.map(({ context, attributes }) => ({ context, attributes: shown(attributes) })),
  events: span.events.map(({ name, time, attributes }) => ({
    name,
    time,
    attributes: shown(attributes),
  })),
  resource: span.resource,
  instrumentationScope: span.instrumentationScope,
  droppedAttributesCount: span.droppedAttributesCount,
  droppedEventsCount: span.droppedEventsCount,
  droppedLinksCount: span.droppedLinksCount,
});

/** An exporter that is given spans without content. */
export const redactSpans = (inner: tracing.SpanExporter): tracing.SpanExporter => ({
  export: (spans, done) => inner.export(spans.map(redacted), done),
  shutdown: () => inner.shutdown(),
  forceFlush: async () => inner.forceFlush?.(),
});
