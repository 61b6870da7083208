import { Context } from '@temporalio/activity';
import type { EvaluationFacts, ScoredVersion } from '../../domain/evaluation/contract.js';
import type { EvaluationInput } from '../../domain/evaluation/evaluation-input.js';
import type { EvaluationReport } from '../../domain/evaluation/evaluation-report.js';
import { contractBreaks } from '../../domain/datasets/contract-breaks.js';
import { PlatformError } from '../../domain/errors.js';
import type { Caller } from '../../domain/events/change.js';
import { ProviderFailure, type ModelRuntime } from '../../domain/inference/runtime.js';
import type { RawRow } from '../../domain/training/training-table.js';
import { workflowCaller } from '../run-of.js';
import {
  findLeak,
  loadEvaluationRows,
  type EvaluationRows,
  type ReadParts,
} from './load-evaluation-rows.js';

export interface MeasureVersionDeps {
  /** QUEUED → RUNNING, and everything that measuring needs. @throws NOT_FOUND, VERSION_NOT_RELEASABLE */
  beginEvaluation: (caller: Caller, evaluationId: string) => Promise<EvaluationFacts>;
  /** Writes the report once; a second report of the same run must be equal. Answers its digest. */
  completeEvaluation: (
    caller: Caller,
    evaluationId: string,
    report: EvaluationReport,
  ) => Promise<{ reportDigest: string }>;
  readParts: ReadParts;
  readArtifact: (ref: string) => Promise<Uint8Array>;
  scanArtifact: (bytes: Uint8Array) => {
    allowed: boolean;
    findings: readonly { code: string; detail: string }[];
  };
  runtime: ModelRuntime;
  /** Judges measured rows off the main thread. */
  judge: (input: EvaluationInput, signal: AbortSignal) => Promise<EvaluationReport>;
}

const SLICE_ROWS = 5_000;
const SLICE_TIMEOUT_MS = 120_000;

/** Probabilities of one version on the rows, slice by slice, with a sign of life after each. */
async function score(
  deps: MeasureVersionDeps,
  scored: ScoredVersion,
  rows: readonly RawRow[],
): Promise<Float64Array> {
  const { cancellationSignal } = Context.current();
  const version = { digest: scored.artifactDigest, golden: [] };
  const probabilities = new Float64Array(rows.length);
  for (let from = 0; from < rows.length; from += SLICE_ROWS) {
    const call = {
      version,
      rows: rows.slice(from, from + SLICE_ROWS),
      timeoutMs: SLICE_TIMEOUT_MS,
    };
    const answer = await deps.runtime.predict(call, cancellationSignal);
    probabilities.set(answer.probabilities, from);
    Context.current().heartbeat({ version: scored.version, scored: from + call.rows.length });
  }
  return probabilities;
}

async function scoreReference(
  deps: MeasureVersionDeps,
  reference: ScoredVersion | undefined,
  rows: EvaluationRows,
) {
  if (reference === undefined) return undefined;
  return {
    version: `v${reference.version}`,
    probabilities: await score(deps, reference, rows.inputsOf(reference)),
  };
}

function contractCheck(facts: EvaluationFacts): EvaluationInput['contract'] {
  const { champion, candidate } = facts;
  if (champion === undefined) return { compatible: true, breaks: [], comparedWith: null };
  const breaks = contractBreaks(champion.contract, candidate.contract).map(
    ({ pointer, detail }) => `${pointer}: ${detail ?? 'changed'}`,
  );
  return { compatible: breaks.length === 0, breaks, comparedWith: `v${champion.version}` };
}

async function artifactCheck(
  deps: MeasureVersionDeps,
  candidate: ScoredVersion,
): Promise<EvaluationInput['artifact']> {
  const scan = deps.scanArtifact(await deps.readArtifact(candidate.artifactRef));
  return {
    accepted: scan.allowed,
    findings: scan.findings.map(({ code, detail }) => `${code}: ${detail}`),
  };
}

async function measure(
  deps: MeasureVersionDeps,
  facts: EvaluationFacts,
): Promise<EvaluationReport> {
  const { candidate, asked } = facts;
  const { cancellationSignal } = Context.current();
  const rows = await loadEvaluationRows(facts, deps.readParts);
  Context.current().heartbeat({ loaded: rows.labels.length });
  const champion = await scoreReference(deps, facts.champion, rows);
  const previousChampion = await scoreReference(deps, facts.previousChampion, rows);
  const input: EvaluationInput = {
    subject: {
      model: facts.model,
      version: `v${candidate.version}`,
      artifact: candidate.artifactDigest,
      trainer: candidate.lineage.trainerVersion,
    },
    evaluationSetDigest: facts.evaluationSnapshot.snapshotId,
    probabilities: await score(deps, candidate, rows.inputsOf(candidate)),
    labels: rows.labels,
    protectedColumns: rows.protectedColumns,
    intersections: asked.intersections,
    ...(champion === undefined ? {} : { champion }),
    ...(previousChampion === undefined ? {} : { previousChampion }),
    policy: facts.policy,
    seed: asked.seed,
    leak: await findLeak(facts, rows, deps.readParts),
    contract: contractCheck(facts),
    artifact: await artifactCheck(deps, candidate),
  };
  const beat = setInterval(
    () => Context.current().heartbeat({ judging: rows.labels.length }),
    2_000,
  );
  try {
    return await deps.judge(input, cancellationSignal);
  } finally {
    clearInterval(beat);
  }
}

/**
 * Scores candidate and champions on the evaluation rows, judges every criterion and stores the report. Idempotent: the
 * same facts give the same report and digest.
 * @throws EVALUATION_EMPTY, RUNTIME_UNAVAILABLE, ARTIFACT_CORRUPT (final)
 */
export const createMeasureVersion =
  (deps: MeasureVersionDeps) =>
  async ({ tenant, evaluationId }: { tenant: string; evaluationId: string }) => {
    const caller = workflowCaller(tenant);
    const facts = await deps.beginEvaluation(caller, evaluationId);
    const { unavailable } = deps.runtime.capabilities({
      digest: facts.candidate.artifactDigest,
      golden: [],
    });
    if (unavailable !== undefined) {
      throw new PlatformError('RUNTIME_UNAVAILABLE', 'There is no ONNX runtime to score with.', {
        internal: unavailable,
      });
    }
    try {
      const report = await measure(deps, facts);
      const { reportDigest } = await deps.completeEvaluation(caller, evaluationId, report);
      return { verdict: report.overall, reportDigest };
    } catch (error) {
      if (error instanceof ProviderFailure && error.code !== undefined) {
        throw new PlatformError(error.code, 'The model runtime refused the model.', {
          internal: error.message,
        });
      }
      throw error;
    }
  };
