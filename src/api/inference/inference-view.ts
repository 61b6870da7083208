import { isErrorCode, PlatformError } from '../../domain/errors.js';
import { isFinalInference, type InferenceResult } from '../../domain/inference/contract.js';
import type { StoredInference } from '../../domain/inference/run.js';
import type { Reply } from '../route.js';
import type { InferenceRouteDeps } from './inference-route-deps.js';

type ViewDeps = Pick<InferenceRouteDeps, 'openOutput' | 'links'>;

/** An inference as its caller sees it, output opened. */
export async function inferenceView(
  deps: ViewDeps,
  tenant: string,
  stored: StoredInference,
): Promise<InferenceResult> {
  const { inferenceId: id, outputs } = stored;
  const output = await deps.openOutput({ tenant, inferenceId: id, outputs });
  return {
    id,
    decisionId: id,
    workflowId: stored.workflowId,
    status: stored.state,
    ...(stored.code === null ? {} : { code: stored.code }),
    ...(output === undefined ? {} : { output }),
    ...(stored.confidence === null ? {} : { confidence: stored.confidence }),
    model: {
      name: stored.model,
      version: stored.answeredBy ?? stored.version,
      ...(stored.digest === null ? {} : { digest: stored.digest }),
    },
    arm: stored.arm,
    ...(stored.contractVersion === null ? {} : { contractVersion: stored.contractVersion }),
    attempts: stored.attempts,
    ...(stored.fallback === null ? {} : { fallback: stored.fallback }),
    warnings: stored.warnings,
    ...(stored.latencyMs === null ? {} : { latencyMs: stored.latencyMs }),
    createdAt: new Date(stored.createdMs).toISOString(),
    ...(stored.settledMs === null ? {} : { settledAt: new Date(stored.settledMs).toISOString() }),
    links: {
      self: `/v1/inferences/${id}`,
      temporalUi: deps.links.temporalUi(stored.workflowId),
      decision: `/v1/decisions/${id}`,
    },
  };
}

/**
 * The answer to who waited: 200 with the result, or the problem document of the code that the inference failed with.
 * Undefined while it is not settled.
 */
export async function settledReply(
  deps: ViewDeps,
  tenant: string,
  stored: StoredInference,
): Promise<Reply<InferenceResult> | undefined> {
  if (!isFinalInference(stored.state)) return undefined;
  const body = await inferenceView(deps, tenant, stored);
  if (stored.state !== 'SUCCEEDED') {
    const code = isErrorCode(stored.code) ? stored.code : 'OPERATION_FAILED';
    const { decisionId, status, attempts, links } = body;
    throw new PlatformError(code, `The inference ended ${stored.state}.`, {
      extensions: { decisionId, state: status, attempts, links },
    });
  }
  const headers = {
    'anneal-decision-id': body.decisionId,
    'anneal-attempts': String(body.attempts.length),
  };
  return { status: 200, body, headers };
}
