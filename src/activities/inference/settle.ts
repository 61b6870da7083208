import { canonicalJson, digestOf, sha256 } from '../../domain/digest.js';
import type { DecisionRow } from '../../domain/decisions/contract.js';
import type { StartRequest } from '../../domain/events/contract.js';
import { inferShadowWorkflowId, type InferShadowInput } from '../../domain/inference/contract.js';
import type { AttemptOutcome } from '../../domain/inference/next-step.js';
import type {
  InferenceRun,
  PlannedCandidate,
  Settlement,
  StoredAttempt,
} from '../../domain/inference/run.js';
import { bucketOf } from '../../domain/release/assignment.js';
import { killOn } from '../../domain/release/routing.js';
import type { ModelOutput } from './attempt.js';
import type { InferencePipelineDeps } from './inference-pipeline-deps.js';

/** How a run ended, with all that was tried. */
export interface RunEnd {
  outcome: AttemptOutcome;
  attempts: StoredAttempt[];
  /** Present where a candidate answered. */
  answer?: { output: ModelOutput; by: PlannedCandidate } | undefined;
  /** The database's clock at the end. */
  nowMs: number;
}

const iso = (ms: number): string => new Date(ms).toISOString();

function fallbackOf(run: InferenceRun, end: RunEnd): DecisionRow['fallback'] {
  if (end.answer?.by.kind !== 'previous') return null;
  const failed = end.attempts.filter((attempt) => attempt.class !== 'ok').at(-1);
  const reason = run.plan.diverted ?? failed?.class ?? 'killed';
  return { used: true, kind: 'previous', reason };
}

/** The version that the row speaks of: the one that answered, else the one that was asked first. */
const answering = (run: InferenceRun, end: RunEnd): PlannedCandidate | undefined =>
  end.answer?.by ?? run.plan.candidates[0];

const sealedOutput = (inferenceId: string) => ({
  table: 'inference',
  column: 'outputs',
  rowId: inferenceId,
});

/** Columns of steps that later releases add. */
const notYet = {
  consentRef: null,
  jurisdiction: null,
  dataClass: null,
  upstreamModel: null,
  fingerprint: null,
  policyVersion: null,
  promptVersion: null,
  cache: null,
  compression: null,
  guards: null,
  piiCounts: null,
  priceVersion: null,
  holdMicroUsd: null,
  costMicroUsd: null,
  budgetBefore: null,
  budgetAfter: null,
  explanationRef: null,
  humanReview: null,
} as const;

async function decisionOf(
  deps: InferencePipelineDeps,
  run: InferenceRun,
  end: RunEnd & { outputText: string | undefined },
): Promise<DecisionRow> {
  const { inferenceId, plan } = run;
  const by = answering(run, end);
  const version = by?.version ?? run.version;
  const loaded = await deps.version(run.tenant, run.model, version);
  const probability = end.answer?.output.probability;
  const { bucket, nonSticky } = plan.assignment;
  const text = end.outputText;
  return {
    ...notYet,
    tenantId: run.tenant,
    decisionId: inferenceId,
    env: run.env,
    at: iso(end.nowMs),
    lane: 'durable',
    state: end.outcome.state,
    code: 'code' in end.outcome ? end.outcome.code : null,
    actor: run.principalId,
    subjectToken: run.subjectToken,
    purpose: run.purpose,
    inputsDigest: run.inputsDigest,
    inputsRef: `inference/${inferenceId}/inputs`,
    outputsDigest: text === undefined ? null : digestOf('anneal.outputs.v1', Buffer.from(text)),
    outputsRef: text === undefined ? null : `inference/${inferenceId}/outputs`,
    confidence: probability === undefined ? null : Math.max(probability, 1 - probability),
    model: run.model,
    version,
    digest: by?.digest ?? '',
    arm: run.arm,
    routingEpoch: run.routingEpoch,
    routing: { nonSticky, assigned: run.version, ...(bucket === undefined ? {} : { bucket }) },
    datasetVersion: loaded?.facts.snapshotId ?? null,
    contractVersion: by?.contractDigest ?? '',
    attempts: end.attempts.map((attempt) => ({
      n: attempt.n,
      candidate: `v${attempt.version}`,
      class: attempt.class,
      at: iso(attempt.startedMs),
      totalMs: attempt.totalMs,
    })),
    fallback: fallbackOf(run, end),
    flags: nonSticky ? ['nonSticky'] : [],
    warnings: run.warnings,
    workflowId: run.workflowId,
    traceId: deps.traceId?.() ?? null,
    latencyMs: Math.max(0, end.nowMs - run.createdMs),
  };
}

/** True for the share of decisions that a shadow samples; the same decision falls the same way whenever it is asked. */
const isSampled = (shadowId: string, decisionId: string, rateBp: number): boolean =>
  bucketOf(sha256(`${shadowId}\0${decisionId}`)) < rateBp;

/** The shadows to start: only answers of the champion are compared. */
function shadowsOf(run: InferenceRun, end: RunEnd): { start: StartRequest; inputDigest: string }[] {
  if (end.answer?.by.kind !== 'assigned' || run.arm !== 'active') return [];
  if (run.active !== end.answer.by.version) return [];
  return run.shadow
    .filter((capture) => isSampled(capture.shadowId, run.inferenceId, capture.sampleRateBp))
    .filter(({ version }) => killOn(run.kills, version) === undefined)
    .map(({ shadowId, version }) => {
      const input: InferShadowInput = {
        tenant: run.tenant,
        decisionId: run.inferenceId,
        shadowId,
        version,
        timeoutMs: run.plan.attemptTimeoutMs,
      };
      const start: StartRequest = {
        workflowId: inferShadowWorkflowId(input),
        workflowType: 'inferShadow',
        taskQueue: 'inference',
        input: { ...input },
        options: {
          summary: `${run.model} v${version} · shadow in ${run.env}`,
          searchAttributes: { Target: run.model, Version: `v${version}` },
          priorityKey: 5,
          requestId: run.requestId,
        },
        startedBy: 'relay',
      };
      return { start, inputDigest: digestOf('anneal.intent.v1', start.input) };
    });
}

/**
 * Step 16: attempts, outcome, decision row, its audit leaf, event and shadow starts in one transaction. Idempotent: a
 * second settlement writes nothing and answers with the first.
 * @throws STORE_UNAVAILABLE
 */
export const createSettle =
  (deps: InferencePipelineDeps) =>
  async (run: InferenceRun, end: RunEnd): Promise<Settlement> => {
    const { tenant, inferenceId } = run;
    const outputText = end.answer === undefined ? undefined : canonicalJson(end.answer.output);
    const decision = await decisionOf(deps, run, { ...end, outputText });
    const outputs =
      outputText === undefined
        ? null
        : await deps.encrypt({ tenant, ...sealedOutput(inferenceId) }, outputText);
    const { state, code, model, version, arm, routingEpoch } = decision;
    const settlement = await deps.store.settle(tenant, {
      inferenceId,
      workflowId: run.workflowId,
      state,
      code,
      outputs,
      attempts: end.attempts,
      decision,
      event: { decisionId: inferenceId, state, code, model, version, arm, routingEpoch },
      shadows: shadowsOf(run, end),
    });
    if (settlement.settled) deps.observe.countDecision(state);
    return settlement;
  };

/** The stored output of an inference, opened; undefined where there is none. */
export async function openOutput(
  deps: Pick<InferencePipelineDeps, 'decrypt'>,
  of: { tenant: string; inferenceId: string; outputs: Uint8Array | null },
): Promise<ModelOutput | undefined> {
  if (of.outputs === null) return undefined;
  const owner = { tenant: of.tenant, ...sealedOutput(of.inferenceId) };
  const plain = await deps.decrypt(owner, of.outputs);
  return JSON.parse(Buffer.from(plain).toString('utf8')) as ModelOutput;
}
