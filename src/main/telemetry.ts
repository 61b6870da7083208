import type { IncomingHttpHeaders } from 'node:http';
import { context, isSpanContextValid, propagation, SpanKind, trace } from '@opentelemetry/api';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { node, resources, tracing } from '@opentelemetry/sdk-node';
import { OpenTelemetryPlugin } from '@temporalio/interceptors-opentelemetry-v2';
import type { Config } from '../config.js';
import { redactSpans } from './redact-spans.js';

/** The tracing of a process: the plugin of its Temporal client and workers, and the end of it. */
export interface Telemetry {
  plugin: OpenTelemetryPlugin;
  /** Sends what is still held. */
  stop: () => Promise<void>;
}

const createPlugin = (service: string, spanProcessor: tracing.SpanProcessor): OpenTelemetryPlugin =>
  new OpenTelemetryPlugin({
    resource: resources.resourceFromAttributes({ 'service.name': service }),
    spanProcessor,
  });

/** Temporal's tracing interceptors with spans that end here: of bundles, which run nothing, and of tests. */
export const createSilentPlugin = (): OpenTelemetryPlugin =>
  createPlugin('anneal', new tracing.NoopSpanProcessor());

/**
 * Tracing of this process. Temporal's interceptors are wired in client, worker and workflow bundle alike; the exporter is
 * off by default: spans then end in a processor that drops them. `ANNEAL_OTEL=on` sends them where `OTEL_*` says, with
 * names, ids, counts and codes alone. Once per process: it becomes the tracer of everything in it.
 */
export function startTelemetry(
  config: Pick<Config, 'telemetry'>,
  service: string,
  exporter?: tracing.SpanExporter,
): Telemetry {
  if (!config.telemetry) return { plugin: createSilentPlugin(), stop: async () => undefined };
  const processor = new tracing.BatchSpanProcessor(
    redactSpans(exporter ?? new OTLPTraceExporter()),
  );
  const provider = new node.NodeTracerProvider({
    resource: resources.resourceFromAttributes({ 'service.name': service }),
    spanProcessors: [processor],
  });
  provider.register();
  return {
    plugin: createPlugin(service, processor),
    stop: async () => {
      // A collector that does not answer holds up no stop.
      await provider.shutdown().catch(() => undefined);
    },
  };
}

/** The trace that the running code is part of; undefined where none is kept. */
export function activeTraceId(): string | undefined {
  const span = trace.getActiveSpan()?.spanContext();
  return span !== undefined && isSpanContextValid(span) ? span.traceId : undefined;
}

/** One request as one span of its caller's trace: its operation, its id and what it was answered with. */
export function traceRequest(
  of: { operation: string; requestId: string; headers: IncomingHttpHeaders },
  work: () => Promise<{ status: number }>,
): Promise<void> {
  const { operation, requestId } = of;
  const isInner = trace.getSpan(context.active()) !== undefined;
  const parent = isInner ? context.active() : propagation.extract(context.active(), of.headers);
  const options = {
    kind: isInner ? SpanKind.INTERNAL : SpanKind.SERVER,
    attributes: { 'anneal.operation': operation, 'anneal.request_id': requestId },
  };
  return trace.getTracer('anneal').startActiveSpan(operation, options, parent, async (span) => {
    try {
      const { status } = await work();
      span.setAttribute('http.response.status_code', status);
    } finally {
      span.end();
    }
  });
}
