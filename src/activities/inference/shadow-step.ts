import { cancellationSignal } from '@temporalio/activity';
import { digestOf } from '../../domain/digest.js';
import { failureOf } from '../../domain/errors.js';
import type { InferShadowInput } from '../../domain/inference/contract.js';
import type { ShadowSide } from '../../domain/inference/run.js';
import { runOf } from '../run-of.js';
import { callVersion, openInputs, type ModelOutput } from './attempt.js';
import type { InferStepDeps } from './infer-step.js';
import type { InferencePipelineDeps } from './inference-pipeline-deps.js';
import { openOutput } from './settle.js';

/** What the steps of shadows ask for. */
export interface ShadowStepDeps
  extends
    Pick<InferStepDeps, 'recordForgedStart'>,
    Pick<InferencePipelineDeps, 'store' | 'decrypt' | 'runtime' | 'version'> {}

const sideOf = (version: number, output: ModelOutput, ms: number): ShadowSide => ({
  version,
  label: String(output.label),
  probability: output.probability,
  ms,
});

/**
 * Asks the candidate for one settled decision and writes the pair, once. A failure of the candidate is part of the
 * evidence and is recorded as such. It runs after the answer and touches nothing the caller sees.
 * @throws START_NOT_AUTHORISED (final, audited), STORE_UNAVAILABLE (retried)
 */
export const createInferShadowStep =
  (deps: ShadowStepDeps) =>
  async (input: InferShadowInput): Promise<{ written: boolean }> => {
    const { tenant, decisionId, version, shadowId, timeoutMs } = input;
    const { workflowId, runId } = runOf();
    const found = await deps.store.loadShadow(tenant, workflowId, decisionId);
    if (found?.inputDigest !== digestOf('anneal.intent.v1', input)) {
      await deps.recordForgedStart(tenant, { workflowId, runId });
      throw failureOf('START_NOT_AUTHORISED', 'no committed intent allows this run');
    }
    if (found.paired || !found.collecting) return { written: false };
    const champion = await openOutput(deps, {
      tenant,
      inferenceId: decisionId,
      outputs: found.outputs,
    });
    if (champion === undefined) return { written: false };
    const values = await openInputs(deps, { tenant, inferenceId: decisionId, ...found });
    const call = { tenant, model: found.model, version, values, timeoutMs };
    const result = await callVersion(deps, call, cancellationSignal());
    const answered = 'output' in result;
    const written = await deps.store.recordPair(tenant, workflowId, {
      decisionId,
      version,
      shadowId,
      champion: sideOf(found.champion, champion, found.championMs),
      candidate: answered ? sideOf(version, result.output, result.ms) : null,
      error: answered ? null : result.class,
    });
    return { written };
  };
