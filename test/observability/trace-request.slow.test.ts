import { context, propagation, trace } from '@opentelemetry/api';
import { tracing } from '@opentelemetry/sdk-node';
import { startTelemetry, traceRequest } from '../../src/main/telemetry.js';

const exporter = new tracing.InMemorySpanExporter();
const telemetry = startTelemetry({ telemetry: true }, 'anneal-api', exporter);
afterAll(async () => {
  await telemetry.stop();
  for (const global of [context, propagation, trace]) global.disable();
});

/** The trace that a request with these headers is part of. */
async function traceOf(headers: Record<string, string>): Promise<string | undefined> {
  let traceId: string | undefined;
  await traceRequest({ operation: 'models.list', requestId: 'req_1', headers }, () => {
    traceId = trace.getActiveSpan()?.spanContext().traceId;
    return Promise.resolve({ status: 200 });
  });
  return traceId;
}

test('a request is part of the trace that its caller names, without any other instrumentation', async () => {
  const traceId = 'a'.repeat(32);
  expect(await traceOf({ traceparent: `00-${traceId}-${'b'.repeat(16)}-01` })).toBe(traceId);
});

test('a request that names none, or nonsense, begins a trace of its own', async () => {
  const traces = [await traceOf({}), await traceOf({ traceparent: '00-xyz-1-01' })];
  for (const traceId of traces) expect(traceId).toMatch(/^[0-9a-f]{32}$/);
  expect(traces[0]).not.toBe(traces[1]);
});
