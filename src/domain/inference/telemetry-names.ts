/**
 * Every name that inference shows to telemetry, in one place: the `gen_ai.*` conventions are not stable. Labels are
 * bounded; no tenant, user or content is one of them.
 */
export const telemetryNames = {
  operationDuration: 'gen_ai.client.operation.duration',
  operationName: 'gen_ai.operation.name',
  providerName: 'gen_ai.provider.name',
  requestModel: 'gen_ai.request.model',
  responseModel: 'gen_ai.response.model',
  errorType: 'error.type',
} as const;

/** Our own metrics and their labels (gateway.md §16). */
export const inferenceMetrics = {
  inferences: { name: 'anneal_inferences', labels: ['lane', 'state', 'code'] },
  overhead: { name: 'anneal_overhead_seconds', labels: ['lane', 'step'] },
  attempts: { name: 'anneal_attempts', labels: ['provider', 'class'] },
  fallbacks: { name: 'anneal_fallbacks', labels: ['kind'] },
} as const;
