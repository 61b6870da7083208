import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { resources, tracing } from '@opentelemetry/sdk-node';
import { OpenTelemetryPlugin } from '@temporalio/interceptors-opentelemetry-v2';
import type { Config } from '../config.js';

/**
 * Temporal's tracing interceptors, wired in client, worker and workflow bundle alike. The exporter is off by default:
 * spans then end in a processor that drops them; `ANNEAL_OTEL=on` sends them where `OTEL_*` says.
 */
export function createTelemetryPlugin(
  config: Pick<Config, 'telemetry'>,
  service: string,
): OpenTelemetryPlugin {
  const spanProcessor = config.telemetry
    ? new tracing.BatchSpanProcessor(new OTLPTraceExporter())
    : new tracing.NoopSpanProcessor();
  return new OpenTelemetryPlugin({
    resource: resources.resourceFromAttributes({ 'service.name': service }),
    spanProcessor,
  });
}
