import { tracing } from '@opentelemetry/sdk-node';
import { redactSpans } from '../../src/main/redact-spans.js';

const CANARY = 'canary-7f3e1c';
const linked = { traceId: 'a'.repeat(32), spanId: 'b'.repeat(16), traceFlags: 1 };

/** One span as instrumentations make them: what may be seen, and what may not. */
function exportOne(): tracing.ReadableSpan {
  const memory = new tracing.InMemorySpanExporter();
  const processor = new tracing.SimpleSpanProcessor(redactSpans(memory));
  const provider = new tracing.BasicTracerProvider({ spanProcessors: [processor] });
  const span = provider.getTracer('test').startSpan('inferences.create', {
    attributes: {
      'anneal.operation': 'inferences.create',
      'http.response.status_code': 500,
      'url.full': `http://127.0.0.1/v1/search?q=${CANARY}`,
      'db.query.text': `select '${CANARY}'`,
      lastResult: CANARY,
    },
    links: [{ context: linked, attributes: { runId: 'run', why: CANARY } }],
  });
  span.recordException(new TypeError(`cannot read ${CANARY}`));
  span.setStatus({ code: 2, message: CANARY });
  span.end();
  const [exported] = memory.getFinishedSpans();
  if (exported === undefined) throw new Error('nothing was exported');
  return exported;
}

it('spans leave with names, ids, counts and codes, and without a word of what they were about', () => {
  const span = exportOne();
  expect(span.name).toBe('inferences.create');
  expect(span.attributes).toEqual({
    'anneal.operation': 'inferences.create',
    'http.response.status_code': 500,
  });
  expect(span.status).toEqual({ code: 2 });
  expect(span.events.map(({ name, attributes }) => [name, attributes])).toEqual([
    ['exception', { 'exception.type': 'TypeError' }],
  ]);
  expect(span.links).toEqual([{ context: linked, attributes: { runId: 'run' } }]);
  expect(JSON.stringify(span)).not.toContain(CANARY);
});

it('a span keeps its trace, its parent and its times', () => {
  const span = exportOne();
  expect(span.spanContext().traceId).toMatch(/^[0-9a-f]{32}$/);
  expect(span.duration).toHaveLength(2);
  expect(span.instrumentationScope.name).toBe('test');
});
