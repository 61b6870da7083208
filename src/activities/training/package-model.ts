import { activityInfo } from '@temporalio/activity';
import type { ModelContract } from '../../domain/datasets/model-contract.js';
import type { SnapshotProfile } from '../../domain/datasets/profile.js';
import { compileInputs } from '../../domain/datasets/validate-inputs.js';
import { PlatformError } from '../../domain/errors.js';
import { LABEL_THRESHOLD } from '../../domain/inference/runtime.js';
import {
  MIN_GOLDEN_ROWS,
  type GoldenRow,
  type VersionLineage,
} from '../../domain/registry/contract.js';
import { modelContractDigest } from '../../domain/registry/contract-digest.js';
import type { TrainingPlan } from '../../domain/training/contract.js';
import { modelContractOf } from '../../domain/training/plan-training.js';
import type { RunFacts } from '../../domain/training/run-facts.js';
import type { RawRow } from '../../domain/training/training-table.js';
import { workflowCaller } from '../run-of.js';
import { requireParity, withScorer, type Score } from './require-parity.js';
import { keepBeating } from './keep-beating.js';
import { holdoutRows, trainingRows, type LabelledRow, type ReadParts } from './load-rows.js';
import type { RunFiles, TrainedRun } from './run-files.js';
import type { TrainingDeps } from './training-deps.js';

export interface PackageInput {
  tenant: string;
  runId: string;
  /** Held-out rows that parity is measured on, at most; all there are if fewer. */
  parityRows: number;
  /** Golden rows to record. */
  goldenRows: number;
}

export interface PackageResult {
  artifactDigest: string;
  sizeBytes: number;
  parity: { rows: number; maxAbsDifference: number };
}

async function take(
  rows: AsyncIterable<LabelledRow>,
  count: number,
  wanted: (inputs: RawRow) => boolean = () => true,
): Promise<RawRow[]> {
  const taken: RawRow[] = [];
  if (count <= 0) return taken;
  for await (const { inputs } of rows) {
    if (!wanted(inputs)) continue;
    taken.push(inputs);
    if (taken.length >= count) break;
  }
  return taken;
}

/** Real rows that the contract accepts: held-out ones in canonical order, then training rows. */
async function goldenInputs(
  facts: RunFacts,
  how: { read: ReadParts; contract: ModelContract; count: number },
): Promise<RawRow[]> {
  const validate = compileInputs(how.contract.input.fields);
  const fits = (inputs: RawRow): boolean => {
    const outcome = validate(inputs);
    return outcome.ok && outcome.warnings.length === 0;
  };
  const held = await take(holdoutRows(facts, how.read), how.count, fits);
  const more = await take(trainingRows(facts, how.read), how.count - held.length, fits);
  const inputs = [...held, ...more];
  if (inputs.length >= MIN_GOLDEN_ROWS) return inputs;
  throw new PlatformError(
    'TRAINER_INPUT_REFUSED',
    `Only ${inputs.length} rows fit the contract of the model; a version needs ${MIN_GOLDEN_ROWS} golden ones.`,
  );
}

async function recordGolden(
  inputs: RawRow[],
  classes: TrainingPlan['classes'],
  score: Score,
): Promise<GoldenRow[]> {
  const probabilities = await score(inputs);
  return inputs.map((row, at) => {
    const probability = probabilities[at] ?? Number.NaN;
    const given = Object.entries(row).map(([name, value]) => [name, value ?? null] as const);
    return {
      inputs: Object.fromEntries(given),
      output: { label: classes[probability >= LABEL_THRESHOLD ? 1 : 0], probability },
    };
  });
}

function lineageOf({ plan, runId }: RunFacts, trained: TrainedRun): VersionLineage {
  return {
    runId,
    snapshotId: plan.snapshotId,
    evaluationSnapshotId: plan.evaluationSnapshotId,
    datasetContractId: plan.datasetContractId,
    target: plan.target,
    classes: plan.classes,
    features: plan.features,
    protectedAttributes: plan.protectedAttributes,
    split: plan.split,
    trainer: { kind: plan.trainer.kind, params: { ...plan.trainer.params } },
    trainerVersion: trained.model.trainerVersion,
    seed: plan.seed,
    parentVersion: plan.parentVersion,
    codeRef: plan.codeRef,
  };
}

async function contractOf(facts: RunFacts, files: RunFiles): Promise<ModelContract> {
  const profile = await files.readJson<SnapshotProfile>(facts.snapshot.profileRef);
  const contract = modelContractOf(facts.plan, { contract: facts.snapshot.contract, profile });
  if (contract !== undefined) return contract;
  throw new PlatformError('CONTRACT_REQUIRED', 'No contract can be derived for this model.');
}

/** Stores the ONNX file of a trained model, scanned. @throws TRAINER_INPUT_REFUSED where an operator is not allowed */
async function exportArtifact(
  parts: { deps: TrainingDeps; files: RunFiles },
  key: { tenant: string; runId: string },
  trained: TrainedRun,
) {
  const bytes = parts.deps.exportModel(trained.model);
  const scan = parts.deps.scanArtifact(bytes);
  if (scan.allowed) return parts.files.storeModel(key, bytes);
  const found = scan.findings.map(({ code, detail }) => `${code}: ${detail}`).join('; ');
  throw new PlatformError('TRAINER_INPUT_REFUSED', `The model file is refused: ${found}`);
}

/**
 * Makes everything that a registration needs: the ONNX artifact, scanned and compared with the trained model on an
 * ONNX runtime, golden rows with their recorded answers, and the contract derived from that of the data set.
 * @throws ONNX_PARITY_FAILED, RUNTIME_UNAVAILABLE, CONTRACT_REQUIRED, TRAINER_INPUT_REFUSED (final)
 */
export const createPackageModel =
  (parts: { deps: TrainingDeps; files: RunFiles }) =>
  ({ tenant, runId, parityRows, goldenRows }: PackageInput): Promise<PackageResult> =>
    keepBeating(async (beat) => {
      const { deps, files } = parts;
      const key = { tenant, runId };
      const facts = await deps.runs.enterStage(workflowCaller(tenant), runId, 'PACKAGING');
      const trained = await files.readTrained(key);
      const contract = await contractOf(facts, files);
      const artifact = await exportArtifact(parts, key, trained);
      const rows = await take(holdoutRows(facts, deps.readParts), parityRows);
      const how = { read: deps.readParts, contract, count: goldenRows };
      const inputs = await goldenInputs(facts, how);
      const about = { digest: artifact.sha256, signal: beat.signal };
      const { parity, golden } = await withScorer(deps.runtime, about, async (score) => ({
        parity: await requireParity(trained.model, rows, score),
        golden: await recordGolden(inputs, facts.plan.classes, score),
      }));
      const { maxAbsDifference, labelMismatches } = parity;
      const figures = { rows: parity.rows, maxAbsDifference, labelMismatches };
      await files.writePackage(key, {
        artifact,
        contract,
        contractDigest: modelContractDigest(contract),
        golden,
        metrics: facts.result.metrics ?? {},
        lineage: lineageOf(facts, trained),
      });
      await deps.runs.recordResult(tenant, runId, { parity: figures, artifact });
      await deps.runs.recordProgress(tenant, runId, {
        attempt: activityInfo().attempt,
        lines: [`packaged ${artifact.sha256}: parity ${maxAbsDifference} on ${parity.rows} rows`],
      });
      const { sha256: artifactDigest, sizeBytes } = artifact;
      return { artifactDigest, sizeBytes, parity: { rows: parity.rows, maxAbsDifference } };
    });
