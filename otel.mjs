// Starts OpenTelemetry before anything else is imported, where ANNEAL_OTEL=on; `OTEL_*` configure the exporter.
// Start a process with `--import ./otel.mjs --experimental-loader=@opentelemetry/instrumentation/hook.mjs`: without the
// loader hook, ES modules hide Express's routes from the instrumentation.
if (process.env.ANNEAL_OTEL === 'on') {
  const { NodeSDK } = await import('@opentelemetry/sdk-node');
  const { HttpInstrumentation } = await import('@opentelemetry/instrumentation-http');
  const { ExpressInstrumentation } = await import('@opentelemetry/instrumentation-express');
  const { PgInstrumentation } = await import('@opentelemetry/instrumentation-pg');
  const sdk = new NodeSDK({
    serviceName: process.env.OTEL_SERVICE_NAME ?? 'anneal',
    instrumentations: [
      new HttpInstrumentation(),
      new ExpressInstrumentation(),
      new PgInstrumentation({ enhancedDatabaseReporting: false }),
    ],
  });
  sdk.start();
  process.once('beforeExit', () => void sdk.shutdown());
}
