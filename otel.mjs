// Traces HTTP, Express and SQL as well, where ANNEAL_OTEL=on: these modules have to be patched before anything imports
// them. Where spans go, and what of them, is the process's own business (src/main/telemetry.ts).
// Start a process with `--import ./otel.mjs --experimental-loader=@opentelemetry/instrumentation/hook.mjs`: without the
// loader hook, ES modules hide Express's routes from the instrumentation.
if (process.env.ANNEAL_OTEL === 'on') {
  const { registerInstrumentations } = await import('@opentelemetry/instrumentation');
  const { HttpInstrumentation } = await import('@opentelemetry/instrumentation-http');
  const { ExpressInstrumentation } = await import('@opentelemetry/instrumentation-express');
  const { PgInstrumentation } = await import('@opentelemetry/instrumentation-pg');
  const probes = new Set(['/livez', '/readyz', '/metrics']);
  registerInstrumentations({
    instrumentations: [
      new HttpInstrumentation({ ignoreIncomingRequestHook: ({ url }) => probes.has(url ?? '') }),
      new ExpressInstrumentation(),
      new PgInstrumentation({ enhancedDatabaseReporting: false }),
    ],
  });
}
